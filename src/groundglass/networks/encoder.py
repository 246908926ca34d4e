"""Encoders by name, with start weights that are downloaded only when asked for."""

from pathlib import Path
from typing import cast

import segmentation_models_pytorch as smp
import timm
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from groundglass.errors import ConfigError, WeightsError

Channels = tuple[float, float, float]
"""A number for red, green and blue."""

SYMMETRIC: tuple[Channels, Channels] = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
"""Mean and deviation that bring 0 to 1 to -1 to 1."""

_OF_IMAGENET: tuple[Channels, Channels] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_SYMMETRIC_ENCODERS = ("inceptionresnetv2", "inceptionv4", "xception")

SIDE_MULTIPLE = 32
"""Sides of an input must be multiples of this: the coarsest features have stride 32."""


def build_encoder(name: str, in_channels: int = 3, depth: int = 5) -> nn.Module:
    """An encoder that gives features at strides 1, 2, 4, 8, 16 and 32, with random weights.

    Args:
        name: Encoder of segmentation-models-pytorch, such as ``resnet50`` or ``mobilenet_v2``; any
            encoder of timm with ``tu-`` before its name, such as ``tu-res2net50_26w_4s``.
        in_channels: Channels of the input.
        depth: How many times the size is halved; 4 gives no features at stride 32.

    Returns:
        Module that gives a list of features; see :func:`channels_of`.

    Raises:
        ConfigError: If there is no such encoder, or it has no features at one of the strides.
    """
    try:
        encoder: nn.Module = smp.encoders.get_encoder(
            name, in_channels=in_channels, depth=depth, weights=None
        )
    except (KeyError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"found encoder '{name}', expected one of segmentation-models-pytorch or, after 'tu-', "
            f"of timm ({str(error).splitlines()[0][:100]}); correct the name"
        ) from None
    return encoder


def channels_of(encoder: nn.Module) -> tuple[int, ...]:
    """Channels of an encoder's features at strides 1, 2, 4, 8, 16 and 32."""
    return tuple(cast("list[int]", encoder.out_channels))


def standardization_of(name: str) -> tuple[Channels, Channels]:
    """Mean and deviation by which an encoder's ImageNet weights saw colors of 0 to 1.

    Those of timm are its own; those of segmentation-models-pytorch are torchvision's, but for the
    inception family.

    Args:
        name: Its name, as for :func:`build_encoder`.
    """
    if not name.startswith("tu-"):
        return SYMMETRIC if name in _SYMMETRIC_ENCODERS else _OF_IMAGENET
    stated = timm.get_pretrained_cfg(name.removeprefix("tu-"), allow_unregistered=True)
    if stated is None:
        return _OF_IMAGENET
    return cast("Channels", tuple(stated.mean)), cast("Channels", tuple(stated.std))


def start_encoder(encoder: nn.Module, name: str, weights: str) -> None:
    """Load start weights into an encoder before training.

    Args:
        encoder: Changed in place.
        name: Its name, as for :func:`build_encoder`.
        weights: ``none``; ``imagenet``, which downloads; or a safetensors file with the encoder's
            ImageNet weights in torchvision's names. They see the first three channels; weights
            of further ones start at 0.

    Raises:
        WeightsError: If there is no such file, or it does not fit the encoder.
    """
    if weights == "none":
        return
    if weights == "imagenet":
        state = smp.encoders.get_encoder(name, weights="imagenet").state_dict()
    else:
        state = _read(Path(weights))
    try:
        encoder.load_state_dict(_widen(state, encoder.state_dict()))
    except RuntimeError as error:
        raise WeightsError(
            f"found weights in '{Path(weights).name}' that do not fit the encoder '{name}': "
            f"{str(error)[:160]}; take weights of the same architecture"
        ) from None


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise WeightsError(f"found no file '{path.name}', expected encoder weights; check the path")
    return {
        k: v.to(torch.float32) if v.is_floating_point() else v for k, v in load_file(path).items()
    }


def _widen(state: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """Start weights whose first convolution takes as many channels as wanted, the new ones at 0.

    An encoder of six channels then starts as if it saw the first three alone.
    """
    widened = dict(state)
    for name, value in state.items():
        shape = wanted[name].shape if name in wanted else value.shape
        if value.dim() == 4 and shape[0] == value.shape[0] and shape[1] > value.shape[1] == 3:
            widened[name] = torch.zeros(shape)
            widened[name][:, :3] = value
    return widened


def as_color(gray: Tensor, standardization: tuple[Channels, Channels] = SYMMETRIC) -> Tensor:
    """Lung gray 0 to 1 as three channels, from -1 to 1 or standardized for a body that stays.

    An encoder that learns gets used to any range; one that is frozen needs the contrast that it
    was pretrained on, see :func:`standardization_of`.

    Args:
        gray: (batch, 1, row, column).
        standardization: Mean and deviation by channel.
    """
    mean, deviation = (gray.new_tensor(part).view(1, 3, 1, 1) for part in standardization)
    return ((gray - mean) / deviation).contiguous(memory_format=torch.channels_last)
