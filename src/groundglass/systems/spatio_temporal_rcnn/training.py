"""How the system is trained: the spatial resolver, the temporal one on it, the detector on both."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader

from groundglass.data.cohort import UNKNOWN, Case, ct_slices, known_cases
from groundglass.data.slices import EpochSampler
from groundglass.data.triples import TripleDataset
from groundglass.labels import is_opacity
from groundglass.losses import known_bce_loss, soft_dice_loss
from groundglass.metrics.instances import TINY_PX, connected_lesions
from groundglass.metrics.segmentation import Overlap
from groundglass.networks.encoder import start_encoder
from groundglass.systems.spatio_temporal_rcnn.detector import find_targets
from groundglass.systems.spatio_temporal_rcnn.network import (
    Form,
    Shape,
    SpatioTemporalRcnn,
    Stage,
    Stride,
    as_input,
)
from groundglass.systems.spatio_temporal_rcnn.stages import stage_by_share
from groundglass.training.config import NetworkPart, NetworkSetting, RunConfig
from groundglass.training.module import Batch, SystemModule
from groundglass.training.optimizer import Parameters


class Config(RunConfig):
    """Settings of the system; those of ``Shape`` with more on the training.

    Attributes:
        stage: ``spatial``, ``temporal`` or ``detector``; each starts from the one before by
            ``start_weights``.
        form: ``spatio-temporal``, ``spatial`` or ``mask-rcnn``.
        encoder: Encoder's name, for both resolvers.
        encoder_weights: ``imagenet`` (downloaded), ``none``, or a safetensors file.
        decoder_channels: Channels of the resolvers' decoders, coarse to fine.
        width: Channels of the features that the detector sees.
        stride: Pixels of the input to a cell of these features: 16, 8 or 4; or ``pyramid``, for
            features of every stride from 4 to 32.
        anchors_px: Sides of anchors in pixels of the input; four with a pyramid.
        box_width: Units of the box branch.
        mask_width: Channels of the mask branch.
        roi_batch: Proposals of a slice that the loss looks at.
        least_score: Instances from this score on are lesion.
        smallest_px: Lesions of fewer pixels of the input teach the detector nothing.
        stage_rule: Where the cohort tells no stage: ``lesion-share`` takes it from the share of the
            lung that is lesion, ``none`` leaves it unknown.
        roi_overlap: Overlap with a lesion below which a proposal is none and from which it is one.
            On a lesion of 5 pixels, a box that is 1 pixel off overlaps by half.
        tiny_weight: How much more often a slice with a tiny lesion is drawn.
        lone_share: Share of the training slices that are shown without their neighbors.
        reversed_share: Share of the training slices whose neighbors change places, for series run
            from head to feet and from feet to head.
    """

    stage: Stage = "detector"
    form: Form = "spatio-temporal"
    encoder: str
    encoder_weights: str
    decoder_channels: tuple[int, int, int, int] = (256, 128, 64, 32)
    width: int = 256
    stride: Stride = 16
    anchors_px: tuple[int, ...] = (8, 16, 32, 64, 128)
    box_width: int = 1024
    mask_width: int = 128
    roi_batch: int = 128
    least_score: float = 0.5
    smallest_px: int = 4
    stage_rule: Literal["lesion-share", "none"] = "lesion-share"
    roi_overlap: tuple[float, float] = (0.5, 0.5)
    tiny_weight: float = Field(default=1.0, ge=1.0)
    lone_share: float = Field(default=0.0, ge=0.0, le=1.0)
    reversed_share: float = Field(default=0.0, ge=0.0, le=1.0)

    @field_validator("roi_overlap")
    @classmethod
    def _none_is_below_one(cls, overlap: tuple[float, float]) -> tuple[float, float]:
        if not 0.0 < overlap[0] <= overlap[1] <= 1.0:
            raise ValueError(f"overlaps of {overlap}, expected rising ones within 0 and 1")
        return overlap

    @property
    def shape(self) -> Shape:
        """All that shapes the network."""
        return Shape(**{name: getattr(self, name) for name in Shape.__dataclass_fields__})

    def network_settings(self) -> dict[str, NetworkSetting]:
        """Everything that shapes the network."""
        settings = asdict(self.shape)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in settings.items()}

    def stands_on(self) -> NetworkPart | None:
        """The spatial resolver, beside which the temporal one is trained."""
        return NetworkPart("the spatial resolver", "spatial.") if self.stage == "temporal" else None

    def answers(self) -> tuple[str, ...]:
        """Masks and boxes; the stage where it is learned."""
        tells_stage = self.form == "spatio-temporal" and self.stage != "spatial"
        return ("segment", "detect", "classify") if tells_stage else ("segment", "detect")


def build_network(config: Config) -> SpatioTemporalRcnn:
    """The network of a config, with random weights."""
    network = SpatioTemporalRcnn(config.shape)
    if config.stage == "detector":
        network.detector.match_proposals(*config.roi_overlap)
    return network


class Module(SystemModule):
    """The system in training."""

    config: Config
    network: SpatioTemporalRcnn

    @classmethod
    def start(cls, config: Config, patients: list[str]) -> "Module":
        """Module with start weights in the encoders."""
        network = build_network(config)
        if config.form == "mask-rcnn":
            start_encoder(network.pyramid.encoder, config.encoder, config.encoder_weights)
        else:
            network.spatial.encoder.start(config.encoder_weights)
        if network.tells_stage:
            network.temporal.encoder.start(config.encoder_weights)
        return cls(network, config, patients)

    @classmethod
    def train_data(cls, config: RunConfig, cases: Sequence[Case]) -> DataLoader[Any]:
        """Augmented triples whose middle slice has known lesions, drawn as the config says."""
        assert isinstance(config, Config)
        known = known_cases(cases, "lesions")
        triples = TripleDataset(
            known,
            config.size_px,
            config.augment,
            config.seed,
            lone_share=config.lone_share,
            reversed_share=config.reversed_share,
        )
        weights = [config.tiny_weight if shows_tiny(case) else 1.0 for case in known]
        return DataLoader(
            triples,
            batch_size=config.batch_size,
            sampler=EpochSampler(
                known, config.draws_per_epoch, config.seed, config.healthy_weight, weights
            ),
            drop_last=True,
            num_workers=config.workers,
            persistent_workers=config.workers > 0,
        )

    @classmethod
    def val_data(cls, config: RunConfig, cases: Sequence[Case]) -> DataLoader[Any]:
        """Every triple once, as it is."""
        return DataLoader(
            TripleDataset(ct_slices(cases), config.size_px), batch_size=config.batch_size
        )

    @classmethod
    def with_truth(cls, config: RunConfig, cases: Sequence[Case]) -> Sequence[Case]:  # noqa: ARG003
        """Those whose lesions are known, as in training."""
        return [case for case in cases if case.is_slice and case.lesions is not None]

    def parameters_to_train(self) -> Parameters:
        """Those of the temporal resolver in its stage; all of them in the others."""
        own = self.network.temporal if self.config.stage == "temporal" else self.network
        return own.parameters()

    def on_train_epoch_start(self) -> None:
        """Keep a spatial resolver that is frozen as it is, its batch statistics included."""
        super().on_train_epoch_start()
        if self.config.stage == "temporal":
            self.network.spatial.eval()

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Dice and cross-entropy of lesion, or what the detector loses; and cross-entropy of stage.

        Slices whose lesions are not known teach nothing. The detector's losses exist in training
        alone; on a module that is not they are taken with batch statistics kept.
        """
        image = as_input(batch["gray"])
        lesions = batch["lesions"][:, None]
        if self.config.stage == "detector":
            parts, stage = self._detector_losses(image, batch["lesions"])
        else:
            features, stage = self.network.resolve(image)
            logits = self.network.lesion_logits(features)
            known = (lesions != UNKNOWN).to(logits.dtype)
            lesion = is_opacity(lesions).to(logits.dtype)
            parts = {
                "dice": soft_dice_loss(logits, lesion, known),
                "cross_entropy": known_bce_loss(logits, lesion, known),
            }
        if stage is not None:
            parts["stage"] = stage_loss(stage, self.stages(batch))
        return {"loss": torch.stack(list(parts.values())).sum(), **parts}

    def _detector_losses(
        self, image: Tensor, lesions: Tensor
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        features, stage = self.network.detector_features(image)
        targets = find_targets(is_opacity(lesions), self.config.smallest_px)
        detector = self.network.detector
        parts = (detector.proposals, detector.regions)
        for part in parts:
            part.training = True  # for losses on a split as well; their layers stay as they are
        try:
            return detector.losses(image, features, targets), stage
        finally:
            for part in parts:
                part.training = self.training

    def stages(self, batch: Batch) -> Tensor:
        """Stage of each slice, 0 to 3, or 255: as the cohort says, else by the rule."""
        lungs, lesions = batch["lungs"], batch["lesions"]
        given = batch.get("stage", torch.full((len(lungs),), UNKNOWN, device=lungs.device))
        if self.config.stage_rule == "none":
            return given
        return torch.where(given == UNKNOWN, stage_by_share(lungs, lesions).to(given.dtype), given)

    def overlaps(self, batch: Batch) -> list[dict[str, Overlap]]:
        """Overlap of lesion for each case whose lesions are known, at probability 0.5."""
        found = (self.network(batch["gray"]).lesion > 0.5).cpu().numpy()
        true = batch["lesions"].cpu().numpy()
        return [
            {} if (t == UNKNOWN).all() else {"lesion": Overlap.of(f, is_opacity(t))}
            for f, t in zip(found, true, strict=True)
        ]


def shows_tiny(case: Case) -> bool:
    """Whether a slice shows a lesion below the size that counts as tiny."""
    lesions = case.read_lesions()
    if lesions is None:
        return False
    _, masks = connected_lesions(is_opacity(lesions))
    return any(mask.sum() < TINY_PX for mask in masks)


def stage_loss(logits: Tensor, stages: Tensor) -> Tensor:
    """Cross-entropy of the stages that are known; 0 where none is.

    Args:
        logits: (slice, stage).
        stages: (slice,), 0 to 3, or 255.
    """
    known = stages != UNKNOWN
    if not known.any():
        return logits.sum() * 0
    return functional.cross_entropy(logits[known], stages[known].long())
