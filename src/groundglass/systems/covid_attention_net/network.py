"""ResNext+ with its recurrent head: slices and lung masks of a volume to class and relevance.

Mohammed et al., IEEE Access 2020.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from groundglass.errors import ConfigError
from groundglass.networks.encoder import as_color, build_encoder, channels_of, start_encoder
from groundglass.systems.covid_attention_net.attention import (
    ChannelAttention,
    SliceAttention,
    SpatialAttention,
)

Ablation = Literal["none", "N-SCA", "N-SLA", "N-MSCA"]
"""Parts left out, as Table 2 names them: spatial and channel attention (SCA), slice attention
(SLA), or the mask as well as spatial and channel attention (MSCA)."""

BatchNorm = Literal["volume", "running", "frozen"]
"""Statistics of batch normalization: of the slices at hand, as published; running means of the
training; or those of the start weights, kept."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a network is made of.

    Attributes:
        encoder: Body, see :func:`groundglass.networks.encoder.build_encoder`.
        classes: Number of classes.
        lstm_width: Units of the LSTM each way.
        attention_width: Hidden units of slice attention.
        ablation: What is left out.
        batch_norm: Statistics of batch normalization.
    """

    encoder: str
    classes: int = 2
    lstm_width: int = 512
    attention_width: int = 512
    ablation: Ablation = "none"
    batch_norm: BatchNorm = "volume"


class Answer(NamedTuple):
    """What the network says of volumes.

    Attributes:
        logits: (volume, class), before temperature and softmax.
        relevance: (volume, slice) weights of slice attention that add up to 1; equal weights where
            it is left out.
    """

    logits: Tensor
    relevance: Tensor


class FusedStem(nn.Module):
    """First convolutions of slice and mask, summed, then channel and spatial attention.

    It takes the place of the first convolution of an encoder and sees four channels: the slice as
    three equal ones, and the mask.

    Args:
        convolution: The encoder's own first convolution, for the slice.
        mask: Whether the mask is seen.
        attention: Whether channel and spatial attention follow.
    """

    def __init__(self, convolution: nn.Conv2d, *, mask: bool, attention: bool) -> None:
        super().__init__()
        self.slice = convolution
        self.mask = _convolution_like(convolution, channels=1) if mask else None
        self.attention = (
            nn.Sequential(ChannelAttention(convolution.out_channels), SpatialAttention())
            if attention
            else None
        )

    def forward(self, seen: Tensor) -> Tensor:
        """Maps of slices with masks, (slice, 4, row, column)."""
        maps: Tensor = self.slice(seen[:, :3])
        if self.mask is not None:
            maps = maps + self.mask(seen[:, 3:])
        return maps if self.attention is None else self.attention(maps)


class CovidAttentionNet(nn.Module):
    """Slices of a volume with their lung masks to class and slice relevance.

    Args:
        shape: What it is made of.
        encoder_weights: Start weights of the body, see
            :func:`groundglass.networks.encoder.start_encoder`.
    """

    def __init__(self, shape: Shape, encoder_weights: str = "none") -> None:
        super().__init__()
        self.shape = shape
        self.encoder = build_encoder(shape.encoder)
        start_encoder(self.encoder, shape.encoder, encoder_weights)
        _fuse(
            self.encoder,
            mask=shape.ablation != "N-MSCA",
            attention=shape.ablation not in {"N-SCA", "N-MSCA"},
        )
        if shape.batch_norm == "volume":
            _forget_statistics(self.encoder)
        width = 2 * shape.lstm_width
        features = channels_of(self.encoder)[-1]
        self.lstm = nn.LSTM(features, shape.lstm_width, batch_first=True, bidirectional=True)
        self.attention = (
            None if shape.ablation == "N-SLA" else SliceAttention(width, shape.attention_width)
        )
        self.output = nn.Linear(width, shape.classes)
        self.start_recurrence()

    def start_recurrence(self, deviation: float = 0.1) -> None:
        """Draw the recurrent weights anew, by default with the published variance of 0.01.

        Args:
            deviation: Their standard deviation.
        """
        for name, parameter in self.lstm.named_parameters():
            if name.startswith("weight"):
                nn.init.normal_(parameter, 0.0, deviation)
            else:
                nn.init.zeros_(parameter)

    def train(self, mode: bool = True) -> "CovidAttentionNet":
        """Switch between training and use; frozen statistics stay in use."""
        super().train(mode)
        if self.shape.batch_norm == "frozen":
            for norm in _norms(self.encoder):
                norm.eval()
        return self

    def forward(self, gray: Tensor, mask: Tensor) -> Answer:
        """Class and slice relevance of volumes with equally many slices.

        Args:
            gray: Lung gray 0 to 1, (volume, slice, row, column), slices from head to feet, sides
                multiples of 32.
            mask: Lungs 0 to 1, likewise.
        """
        volumes, slices = gray.shape[:2]
        features = self.encode(gray.flatten(0, 1), mask.flatten(0, 1))
        return self.judge(features.view(volumes, slices, -1))

    def encode(self, gray: Tensor, mask: Tensor) -> Tensor:
        """Features of slices, each by itself but for batch statistics.

        Args:
            gray: (slice, row, column).
            mask: (slice, row, column).

        Returns:
            (slice, feature).
        """
        seen = torch.cat([as_color(gray[:, None]), mask[:, None].to(gray.dtype)], 1)
        features: Tensor = self.encoder(seen.contiguous(memory_format=torch.channels_last))[-1]
        return features.mean((2, 3))

    def judge(self, features: Tensor) -> Answer:
        """Class and slice relevance from the features of slices, (volume, slice, feature)."""
        along = self.lstm(features)[0]
        if self.attention is None:
            relevance = along.new_full(along.shape[:2], 1 / along.shape[1])
            return Answer(self.output(along.mean(1)), relevance)
        volume, relevance = self.attention(along)
        return Answer(self.output(volume), relevance)

    def judge_in_parts(self, gray: Tensor, mask: Tensor, at_once: int) -> Answer:
        """Class and slice relevance of one volume of any length, in bounded memory.

        Each part holds every so-many-eth slice: where batch statistics are those of the slices at
        hand, a part then resembles the random slices of a training step.

        Args:
            gray: (slice, row, column), 0 to 1, or bytes of 0 to 255.
            mask: (slice, row, column).
            at_once: Largest number of slices in the body at once.
        """
        parts = -(-len(gray) // at_once)
        features: Tensor | None = None
        for part in range(parts):
            seen = gray[part::parts]
            if not seen.is_floating_point():
                seen = seen.float() / 255
            found = self.encode(seen, mask[part::parts])
            if features is None:
                features = found.new_empty((len(gray), found.shape[1]))
            features[part::parts] = found
        assert features is not None
        return self.judge(features[None])


def _fuse(encoder: nn.Module, *, mask: bool, attention: bool) -> None:
    """Put a fused stem in the place of the encoder's first convolution."""
    for name, layer in encoder.named_modules():
        if isinstance(layer, nn.Conv2d) and layer.in_channels == 3:
            *parents, last = name.split(".")
            stem = FusedStem(layer, mask=mask, attention=attention)
            setattr(encoder.get_submodule(".".join(parents)), last, stem)
            return
    raise ConfigError(
        f"found no convolution of three channels in '{type(encoder).__name__}', expected one that "
        "sees the slice; take another encoder"
    )


def _convolution_like(convolution: nn.Conv2d, channels: int) -> nn.Conv2d:
    return nn.Conv2d(
        channels,
        convolution.out_channels,
        _pair(convolution.kernel_size),
        _pair(convolution.stride),
        padding=convolution.padding,  # type: ignore[arg-type]  # a pair, or the word "same"
        bias=False,
    )


def _pair(values: Sequence[int]) -> tuple[int, int]:
    return values[0], values[1]


def _norms(module: nn.Module) -> list[_BatchNorm]:
    return [layer for layer in module.modules() if isinstance(layer, _BatchNorm)]


def _forget_statistics(module: nn.Module) -> None:
    """Let batch normalization always go by the slices at hand."""
    for norm in _norms(module):
        norm.track_running_stats = False
        norm.running_mean = norm.running_var = norm.num_batches_tracked = None
