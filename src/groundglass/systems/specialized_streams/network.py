"""The three networks of the pipeline: what is it, which manifestations, and where.

El-Bana et al. 2020, doi:10.7717/peerj-cs.303.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, cast

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from groundglass.errors import ConfigError
from groundglass.labels import Lesion
from groundglass.networks.encoder import (
    SYMMETRIC,
    Channels,
    as_color,
    build_encoder,
    channels_of,
)

Stage = Literal["recognition", "manifestations", "streams"]

STAGES: tuple[Stage, ...] = ("recognition", "manifestations", "streams")

Settings = Mapping[str, object]
"""Network settings of a card; each begins with the name of its stage."""

OUTPUT_STRIDE = 16
ATROUS_RATES = (6, 12, 18)

MANIFESTATIONS = (Lesion.GROUND_GLASS, Lesion.CONSOLIDATION, Lesion.PLEURAL_EFFUSION)
"""What the second and the third stage can learn, in the order of their channels."""


class Recognition(nn.Module):
    """A picture to logits of classes: a body, its mean over the picture, a new last layer.

    Args:
        body: Name of the body, see :func:`groundglass.networks.encoder.build_encoder`; the
            publication's is ``tu-inception_v3``.
        classes: Number of classes.
        frozen: Whether the body stays as it is, batch statistics included.
        standardization: Mean and deviation, by channel, of what the body was trained on.
    """

    def __init__(
        self,
        body: str,
        classes: int,
        *,
        frozen: bool = False,
        standardization: tuple[Channels, Channels] = SYMMETRIC,
    ) -> None:
        super().__init__()
        self.standardization = standardization
        self.body = build_encoder(body)
        self.output = nn.Linear(channels_of(self.body)[-1], classes)
        self.features = nn.Identity()  # a place to look at the body's last features
        self.frozen = frozen
        if frozen:
            self.body.requires_grad_(False)
            self.body.eval()

    def train(self, mode: bool = True) -> "Recognition":
        """Training mode; a frozen body stays in use mode."""
        super().train(mode)
        if self.frozen:
            self.body.eval()
        return self

    def forward(self, gray: Tensor) -> Tensor:
        """Logits, (batch, class).

        Args:
            gray: (batch, 1, row, column) from 0 to 1.
        """
        return cast("Tensor", self.output(self.describe(gray)))

    def describe(self, gray: Tensor) -> Tensor:
        """What the last layer sees: the body's features, their mean over the picture.

        Args:
            gray: (batch, 1, row, column) from 0 to 1.

        Returns:
            (batch, channel).
        """
        features: Tensor = self.features(self.body(as_color(gray, self.standardization))[-1])
        return features.mean((2, 3))


class Manifestations(nn.Module):
    """A slice to logits of the manifestations it shows, each there or not.

    5 x 5 convolutions, each with 2 x 2 maximum pooling and a quarter dropped out; dense layers of
    128 and 64, half dropped out; ELU.

    Args:
        size_px: (row, column) of the input.
        labels: Number of manifestations.
        filters: Kernels of each convolution; the publication does not state them.
    """

    def __init__(self, size_px: tuple[int, int], labels: int, filters: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for width in filters:
            layers += [
                nn.Conv2d(channels, width, 5, padding=2),
                nn.ELU(),
                nn.MaxPool2d(2),
                nn.Dropout(0.25),
            ]
            channels = width
        rows, columns = (side >> len(filters) for side in size_px)
        if rows < 1 or columns < 1:
            raise ConfigError(
                f"found {len(filters)} poolings for an input of {size_px[0]} x {size_px[1]}, "
                "expected at least one pixel to be left; take fewer filters"
            )
        self.layers = nn.Sequential(
            *layers,
            nn.Flatten(),
            nn.Linear(channels * rows * columns, 128),
            nn.ELU(),
            nn.Dropout(0.5),
            nn.Linear(128, 64),
            nn.ELU(),
            nn.Dropout(0.5),
            nn.Linear(64, labels),
        )

    def forward(self, gray: Tensor) -> Tensor:
        """Logits, (batch, manifestation).

        Args:
            gray: (batch, 1, row, column) from 0 to 1, of the size it was built for.
        """
        return cast("Tensor", self.layers((gray * 2 - 1).contiguous()))


class Streams(nn.Module):
    """A slice to logits of each manifestation: DeepLab-v3+, one for each of them or one for all.

    Args:
        encoder: Name of the encoder; ``tu-xception65`` in the publication.
        labels: Number of manifestations.
        shared: Whether one network finds all of them.
        decoder_channels: Channels of the decoder.
    """

    def __init__(
        self, encoder: str, labels: int, *, shared: bool, decoder_channels: int = 256
    ) -> None:
        super().__init__()
        counts = [labels] if shared else [1] * labels
        self.networks = nn.ModuleList(
            smp.DeepLabV3Plus(
                encoder,
                encoder_weights=None,
                encoder_output_stride=OUTPUT_STRIDE,
                decoder_channels=decoder_channels,
                decoder_atrous_rates=ATROUS_RATES,
                classes=count,
            )
            for count in counts
        )

    def forward(self, gray: Tensor) -> Tensor:
        """Logits, (batch, manifestation, row, column).

        Args:
            gray: (batch, 1, row, column) from 0 to 1, sides multiples of 16.
        """
        shown = as_color(gray)
        return torch.cat([network(shown) for network in self.networks], 1)


class SpecializedStreams(nn.Module):
    """The stages that are there; a run trains one, and runs are joined to hold several."""

    def __init__(
        self,
        recognition: Recognition | None = None,
        manifestations: Manifestations | None = None,
        streams: Streams | None = None,
    ) -> None:
        super().__init__()
        self.recognition = recognition
        self.manifestations = manifestations
        self.streams = streams

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages that are there, in their order."""
        return tuple(stage for stage in STAGES if getattr(self, stage) is not None)

    @property
    def side_step_px(self) -> int:
        """Sides of an input are multiples of this: DeepLab halves them, the others take any."""
        return 1 if self.streams is None else OUTPUT_STRIDE

    def forward(self, gray: Tensor, stage: Stage | None = None) -> Tensor:
        """Logits of a stage.

        Args:
            gray: (batch, 1, row, column) from 0 to 1.
            stage: Which; may be left out where there is one.

        Raises:
            ConfigError: If the stage is not there, or there are several and none is named.
        """
        wanted = (stage,) if stage is not None else self.stages
        if len(wanted) != 1 or wanted[0] not in self.stages:
            raise ConfigError(
                f"found stages {', '.join(self.stages)}, expected {stage or 'one'}; name one of "
                "them, or join runs that hold it"
            )
        return cast("Tensor", getattr(self, wanted[0])(gray))


def build_stages(settings: Settings) -> SpecializedStreams:
    """The networks that the settings of a card name, with random weights."""
    recognition = manifestations = streams = None
    if "recognition_body" in settings:
        recognition = Recognition(
            str(settings["recognition_body"]),
            len(classes_of(settings)),
            frozen=bool(settings["recognition_frozen"]),
            standardization=_standardization(settings),
        )
    if "manifestations_filters" in settings:
        manifestations = Manifestations(
            size_of_stage(settings, "manifestations"),
            len(_numbers(settings, "manifestations_labels")),
            _numbers(settings, "manifestations_filters"),
        )
    if "streams_encoder" in settings:
        streams = Streams(
            str(settings["streams_encoder"]),
            len(_numbers(settings, "streams_labels")),
            shared=bool(settings["streams_shared"]),
            decoder_channels=int(cast("int", settings["streams_decoder_channels"])),
        )
    return SpecializedStreams(recognition, manifestations, streams)


def _standardization(settings: Settings) -> tuple[Channels, Channels]:
    """How the body sees gray; weights whose card does not say learned from -1 to 1."""
    if "recognition_mean" not in settings:
        return SYMMETRIC
    mean, deviation = (settings[f"recognition_{part}"] for part in ("mean", "deviation"))
    as_channels = tuple(cast("list[float]", mean)), tuple(cast("list[float]", deviation))
    return cast("tuple[Channels, Channels]", as_channels)


def classes_of(settings: Settings) -> tuple[str, ...]:
    """Names of the classes of the recognition stage."""
    return tuple(str(settings["recognition_classes"]).split(" | "))


def cohort_labels_of(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Labels that cohorts give the pictures of each class of the recognition stage."""
    groups = str(settings["recognition_cohort_labels"]).split(" | ")
    labels = (tuple(group.split("; ")) for group in groups)
    return dict(zip(classes_of(settings), labels, strict=True))


def labels_of(settings: Settings, stage: Stage) -> tuple[Lesion, ...]:
    """Manifestations of the second or third stage by channel; none where it is not there."""
    numbers = _numbers(settings, f"{stage}_labels") if f"{stage}_labels" in settings else []
    return tuple(lesion for number in numbers for lesion in Lesion if lesion == number)


def size_of_stage(settings: Settings, stage: Stage) -> tuple[int, int]:
    """(row, column) of a stage's input."""
    rows, columns = _numbers(settings, f"{stage}_size_px")
    return rows, columns


def thresholds_of(settings: Settings) -> tuple[float, ...]:
    """Probability from which each manifestation counts as there, chosen on validation."""
    return tuple(percent / 100 for percent in _numbers(settings, "manifestations_thresholds"))


def _numbers(settings: Settings, name: str) -> list[int]:
    return cast("list[int]", settings[name])
