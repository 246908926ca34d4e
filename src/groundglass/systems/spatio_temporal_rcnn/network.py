"""The spatio-temporal resolver and what stands on it.

Liu et al. 2021, doi:10.1016/j.ymeth.2021.07.001, sections 2.2 and 2.3. Deviations: see the card.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from torch import Tensor, nn

from groundglass.errors import ConfigError
from groundglass.networks.encoder import build_encoder
from groundglass.networks.shallow_encoder import DEPTH, ShallowEncoder
from groundglass.systems.spatio_temporal_rcnn.blocks import Join, Neck, Pyramid, PyramidNeck
from groundglass.systems.spatio_temporal_rcnn.detector import Detector, Instances

STAGES = ("healthy", "early stage", "advanced stage", "severe stage")
"""Stages of the disease by their number."""

Stage = Literal["spatial", "temporal", "detector"]
Form = Literal["spatio-temporal", "spatial", "mask-rcnn"]
Stride = Literal[4, 8, 16, "pyramid"]

PYRAMID_LEVELS = 4


@dataclass(frozen=True, slots=True)
class Shape:
    """All that shapes a network.

    Attributes:
        stage: What is trained: the spatial resolver, the temporal one on it, or the detector on
            both.
        form: ``spatio-temporal``; ``spatial`` for the spatial encoder alone; ``mask-rcnn`` for the
            usual Mask R-CNN with a feature pyramid, which sees the middle slice alone.
        encoder: Encoder's name.
        decoder_channels: Channels of the resolvers' decoders, coarse to fine.
        width: Channels of the features that the detector sees.
        stride: Pixels of the input to a cell of these features; 16 as published, at 512 x 512.
            With 8, half that input has as many cells; with 4 tiny lesions have some of their own.
            ``pyramid`` gives features of every stride from 4 to 32.
        anchors_px: Sides of anchors in pixels of the input; one for each stride of a pyramid.
        box_width: Units of the box branch.
        mask_width: Channels of the mask branch.
        roi_batch: Proposals of a slice that the loss looks at.
        least_score: Instances from this score on are lesion.
    """

    stage: Stage
    form: Form
    encoder: str
    decoder_channels: tuple[int, int, int, int]
    width: int
    stride: Stride
    anchors_px: tuple[int, ...]
    box_width: int
    mask_width: int
    roi_batch: int
    least_score: float

    def __post_init__(self) -> None:
        """Refuse stages and anchors that a form does not have."""
        if self.stage == "temporal" and self.form != "spatio-temporal":
            raise ConfigError(
                f"found stage 'temporal' with form '{self.form}', expected 'spatio-temporal'; "
                "set form, or another stage"
            )
        if self.form == "mask-rcnn" and self.stage != "detector":
            raise ConfigError(
                f"found form 'mask-rcnn' with stage '{self.stage}', expected 'detector'; set stage"
            )
        if self.has_pyramid and len(self.anchors_px) != PYRAMID_LEVELS:
            raise ConfigError(
                f"found {len(self.anchors_px)} anchors_px with form '{self.form}' and stride "
                f"'{self.stride}', expected {PYRAMID_LEVELS}, one for each level of the pyramid; "
                "set anchors_px"
            )

    @property
    def has_pyramid(self) -> bool:
        """Whether the detector sees several strides."""
        return self.form == "mask-rcnn" or (self.stage == "detector" and self.stride == "pyramid")


class Answer(NamedTuple):
    """What the network says of a batch.

    Attributes:
        lesion: Probability of lesion on the middle slice, (batch, row, column).
        stage: Probability of each stage, (batch, 4); ``None`` without the temporal resolver.
        instances: Lesions of each slice; ``None`` while there is no detector.
    """

    lesion: Tensor
    stage: Tensor | None
    instances: list[Instances] | None


class SpatialResolver(nn.Module):
    """What three neighboring slices show, learned from the middle one's lesions.

    Args:
        encoder: Encoder's name.
        decoder_channels: Channels of the decoder; ``None`` where it is cut off.
    """

    def __init__(self, encoder: str, decoder_channels: tuple[int, ...] | None) -> None:
        super().__init__()
        self.encoder = ShallowEncoder(encoder)
        self.decoder = (
            _Decoder(self.encoder.channels, decoder_channels) if decoder_channels else None
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features at strides 1 to 16."""
        features: list[Tensor] = self.encoder(image)
        return features


class TemporalResolver(nn.Module):
    """The stage of the disease, from the slices and the spatial features of every level.

    Args:
        encoder: Encoder's name.
        decoder_channels: Channels of the decoder; ``None`` where it is cut off.
    """

    def __init__(self, encoder: str, decoder_channels: tuple[int, ...] | None) -> None:
        super().__init__()
        self.encoder = ShallowEncoder(encoder)
        channels = self.encoder.channels
        self.join = Join(channels[1:], channels[1:])
        self.stage = nn.Linear(channels[-1], len(STAGES))
        self.decoder = _Decoder(channels, decoder_channels) if decoder_channels else None

    def forward(self, image: Tensor, spatial: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Joined features at strides 1 to 16, and the logits of the stages.

        Args:
            image: What the spatial encoder saw.
            spatial: Its features.
        """
        own: list[Tensor] = self.encoder(image)
        joined = self.join(spatial[1:], own[1:])
        stage: Tensor = self.stage(joined[-1].mean((2, 3)))
        return [image, *joined], stage


class SpatioTemporalRcnn(nn.Module):
    """Resolvers, and on them, once they are trained, the detector.

    Args:
        shape: What to build.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        if shape.form == "mask-rcnn":
            self.pyramid = Pyramid(build_encoder(shape.encoder), shape.width)
        else:
            decoder = shape.decoder_channels
            self.spatial = SpatialResolver(
                shape.encoder, decoder if shape.stage == "spatial" else None
            )
            if self.tells_stage:
                self.temporal = TemporalResolver(
                    shape.encoder, decoder if shape.stage == "temporal" else None
                )
        if shape.stage == "detector":
            self.detector = self._build_detector()

    @property
    def tells_stage(self) -> bool:
        """Whether there is a temporal resolver."""
        return self.shape.form == "spatio-temporal" and self.shape.stage != "spatial"

    def _build_detector(self) -> Detector:
        shape = self.shape
        own = shape.form != "mask-rcnn"
        if own:
            channels = self.spatial.encoder.channels
            if shape.stride == "pyramid":
                self.neck: nn.Module = PyramidNeck(channels, shape.width)
            else:
                count = {16: 1, 8: 2, 4: 3}[shape.stride]
                self.neck = Neck(channels[-count:], shape.width)
        levels = [str(k) for k in range(PYRAMID_LEVELS if shape.has_pyramid else 1)]
        return Detector(
            levels,
            shape.width,
            shape.anchors_px,
            shape.box_width,
            mask_width=shape.mask_width if own else 0,
            roi_batch=shape.roi_batch,
        )

    def resolve(self, image: Tensor) -> tuple[list[Tensor], Tensor | None]:
        """Features at strides 1 to 16, and the logits of the stages where they are told.

        The spatial resolver stays as it is while the temporal one is trained.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.shape.stage != "temporal"):
            features: list[Tensor] = self.spatial(image)
        if not self.tells_stage:
            return features, None
        joined, stage = self.temporal(image, features)
        return joined, stage

    def lesion_logits(self, features: list[Tensor]) -> Tensor:
        """Logits of lesion from the decoder of the resolver that is trained."""
        resolver = self.spatial if self.shape.stage == "spatial" else self.temporal
        assert resolver.decoder is not None  # cut off only once the detector is trained
        logits: Tensor = resolver.decoder(features)
        return logits

    def detector_features(self, image: Tensor) -> tuple[dict[str, Tensor], Tensor | None]:
        """Features by level for the detector, and the logits of the stages where they are told."""
        if self.shape.form == "mask-rcnn":
            return self.pyramid(image[:, 1:2].expand(-1, 3, -1, -1)), None
        features, stage = self.resolve(image)
        levels: dict[str, Tensor] = self.neck(features)
        return levels, stage

    def forward(self, gray: Tensor) -> Answer:
        """Lesions, and the stage where it is told.

        Args:
            gray: (batch, 1 or 3, row, column) from 0 to 1; see :func:`as_input`.
        """
        image = as_input(gray)
        if self.shape.stage != "detector":
            resolved, stage = self.resolve(image)
            lesion, instances = self.lesion_logits(resolved).sigmoid()[:, 0], None
        else:
            features, stage = self.detector_features(image)
            instances = self.detector.find(image, features)
            lesion = torch.stack([one.lesion(self.shape.least_score) for one in instances])
        return Answer(lesion, None if stage is None else stage.softmax(1), instances)


def as_input(gray: Tensor) -> Tensor:
    """Three slices from -1 to 1, as encoders were pretrained on.

    Args:
        gray: (batch, 3, row, column) from 0 to 1: the slice before, the slice, the slice after; or
            (batch, 1, row, column), a slice without neighbors, which are then zero.
    """
    if gray.shape[1] == 1:
        empty = torch.zeros_like(gray)
        gray = torch.cat([empty, gray, empty], 1)
    return (gray * 2 - 1).contiguous(memory_format=torch.channels_last)


class _Decoder(nn.Module):
    """A U-Net's decoder and its output of lesion."""

    def __init__(self, channels: tuple[int, ...], decoder_channels: tuple[int, ...]) -> None:
        super().__init__()
        self.steps = UnetDecoder(channels, decoder_channels, n_blocks=DEPTH)
        self.output = nn.Conv2d(decoder_channels[-1], 1, 3, padding=1)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Logits of lesion, (batch, 1, row, column)."""
        logits: Tensor = self.output(self.steps(features))
        return logits
