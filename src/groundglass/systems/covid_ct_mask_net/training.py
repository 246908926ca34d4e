"""How COVID-CT-Mask-Net is trained: first lesions as instances, then the class of a slice."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchmetrics.detection import MeanAveragePrecision

from groundglass.data.augment import AugmentConfig
from groundglass.data.cohort import Case, ct_slices, known_cases
from groundglass.data.slices import Draw, EpochSampler, SliceDataset
from groundglass.errors import CohortError, ConfigError
from groundglass.labels import Lesion
from groundglass.metrics.classes import ClassCounts
from groundglass.metrics.segmentation import Overlap
from groundglass.systems.covid_ct_mask_net import network as networks
from groundglass.systems.covid_ct_mask_net.config import PRECISIONS, Config, Stage, Trained
from groundglass.systems.covid_ct_mask_net.instances import Target, hides_kinds, instances_of
from groundglass.systems.covid_ct_mask_net.network import CovidCtMaskNet, Instances, color_list
from groundglass.training.config import RunConfig
from groundglass.training.module import Batch, SystemModule
from groundglass.training.optimizer import Parameters


def build_network(config: Config) -> CovidCtMaskNet:
    """The networks of a config, with random weights."""
    if config.stage == "classes":
        return networks.build_network(config.network, "lesions")
    frozen = config.statistics == "frozen"
    return networks.build_network(config.network, "statistics" if frozen else "nothing")


class Module(SystemModule):
    """COVID-CT-Mask-Net in training."""

    memory_format = None
    config: Config
    network: CovidCtMaskNet

    def __init__(self, network: nn.Module, config: Config, patients: list[str]) -> None:
        super().__init__(network, config, patients)
        for parameter in self.network.parameters():
            parameter.requires_grad_(False)
        self.groups = parameter_groups(self.network, config)
        for group in self.groups:
            for parameter in group["params"]:
                parameter.requires_grad_(True)
        self._precision: MeanAveragePrecision | None = None
        self._classes: ClassCounts | None = None
        self._seen: dict[tuple[bool, int], Tensor] = {}

    @classmethod
    def start(cls, config: Config, patients: list[str]) -> "Module":
        """Module with start weights in the encoder."""
        network = build_network(config)
        network.lesions.backbone.start(config.encoder_weights)
        return cls(network, config, patients)

    @classmethod
    def train_data(cls, config: RunConfig, cases: Sequence[Case]) -> DataLoader[Any]:
        """Augmented slices, drawn as the config says; with their classes in that stage.

        Module S by itself learns from slices as they are, as in the publication.

        Raises:
            CohortError: If no CT slice has a mask of lesions, or any label; a mask hides kinds that
                are to be told; or a label is none of the classes.
        """
        assert isinstance(config, Config)
        if config.stage == "lesions":
            return super().train_data(config, _told_cases(config, cases))
        slices = ct_slices(cases)
        return DataLoader(
            LabeledSlices(slices, config, None if config.trained == "S" else config.augment),
            batch_size=config.batch_size,
            sampler=EpochSampler(slices, config.draws_per_epoch, config.seed),
            drop_last=True,
            num_workers=config.workers,
            persistent_workers=config.workers > 0,
        )

    @classmethod
    def val_data(cls, config: RunConfig, cases: Sequence[Case]) -> DataLoader[Any]:
        """Every CT slice once, as it is."""
        assert isinstance(config, Config)
        if config.stage == "lesions":
            return super().val_data(config, _told_cases(config, cases))
        return DataLoader(LabeledSlices(ct_slices(cases), config), batch_size=config.batch_size)

    @classmethod
    def with_truth(cls, config: RunConfig, cases: Sequence[Case]) -> Sequence[Case]:
        """CT slices with a class of the settings; or with a mask that tells what is to be told."""
        assert isinstance(config, Config)
        slices = [case for case in cases if case.is_slice]
        if config.stage == "classes":
            return [case for case in slices if case.label in config.network.classes]
        known, kinds = [c for c in slices if c.lesions is not None], _kinds_of(config)
        return [case for case in known if not hides_kinds(case, kinds)]

    def parameters_to_train(self) -> Parameters:
        """The groups that learn."""
        return self.groups

    def answer(self, gray: Tensor) -> Any:
        """Lesions of each slice; or logits of its classes."""
        if self.config.stage == "classes":
            return self.network.class_logits(gray)
        return self.network(gray)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The five losses of Mask R-CNN and their sum; or cross-entropy of three sigmoids."""
        gray = batch["gray"]
        if self.config.stage == "classes":
            logits = self._class_logits(batch)
            wanted = functional.one_hot(batch["label"], logits.shape[1]).to(logits.dtype)
            return {"loss": functional.binary_cross_entropy_with_logits(logits, wanted)}
        with _telling_losses(self.network):
            parts = self.network.lesions(color_list(gray), self._targets(batch))
        return {"loss": torch.stack(list(parts.values())).sum(), **parts}

    def overlaps(self, batch: Batch) -> list[dict[str, Overlap]]:
        """Not asked for: instances and classes have measures of their own."""
        raise NotImplementedError

    def on_validation_epoch_start(self) -> None:
        """Forget the epoch before."""
        self._precision = MeanAveragePrecision(iou_type=("bbox", "segm"), backend="pycocotools")
        self._classes = ClassCounts(len(self.config.network.classes))

    def validation_step(self, batch: Batch, batch_index: int) -> None:  # noqa: ARG002
        """Add the instances, or the classes, of each slice."""
        assert self._precision is not None
        assert self._classes is not None
        if self.config.stage == "classes":
            logits = self._class_logits(batch)
            self._classes.add(logits.argmax(1).tolist(), batch["label"].tolist())
        else:
            found = [as_found(one) for one in self.network(batch["gray"])]
            self._precision.update(found, as_masks(self._targets(batch)))

    def on_validation_epoch_end(self) -> None:
        """Log average precision of masks and boxes; or sensitivity, precision and accuracy."""
        assert self._precision is not None
        assert self._classes is not None
        if self.config.stage == "classes":
            metrics = self._classes.summary(self.config.network.classes)
        else:
            metrics = average_precisions(self._precision.compute())
        for name, value in metrics.items():
            self.log(f"val/{name}", value, sync_dist=True)

    def _class_logits(self, batch: Batch) -> Tensor:
        """Logits of each class; ranked boxes that no step moves are looked for once a slice."""
        if self.config.trained != "S":
            return self.network.class_logits(batch["gray"])
        keys = [(self.training, case) for case in batch["case"].tolist()]
        if any(key not in self._seen for key in keys):
            features = self.network.rank(batch["gray"]).features.detach()
            self._seen.update(zip(keys, features, strict=True))
        assert self.network.classes is not None
        features = torch.stack([self._seen[key] for key in keys])
        return cast("Tensor", self.network.classes(features))

    def _targets(self, batch: Batch) -> list[Target]:
        """Instances of each slice of a batch."""
        config = self.config
        return [
            {
                name: value.to(batch["gray"].device)
                for name, value in instances_of(
                    one, _kinds_of(config), config.least_lesion_px
                ).items()
            }
            for one in batch["lesions"].cpu().numpy()
        ]


class LabeledSlices(SliceDataset):
    """Slices with the number of their class as ``label``.

    Args:
        cases: Rows of a cohort, each with a label.
        config: Settings of the run.
        augment: How slices vary; ``None`` shows them as they are.

    Raises:
        CohortError: If a label is none of the classes.
    """

    def __init__(
        self, cases: Sequence[Case], config: Config, augment: AugmentConfig | None = None
    ) -> None:
        classes = config.network.classes
        strange = [case for case in cases if case.label not in classes]
        if strange:
            raise CohortError(
                f"found label '{strange[0].label}' of case '{strange[0].case}', expected one of "
                f"{', '.join(classes)}; set network.classes"
            )
        super().__init__(cases, config.size_px, augment, config.seed)
        self.labels = [classes.index(case.label) for case in cases]

    def __getitem__(self, draw: Draw | int) -> dict[str, Tensor]:
        """One slice with its class."""
        index = draw[1] if isinstance(draw, tuple) else draw
        return {**super().__getitem__(draw), "label": torch.tensor(self.labels[index])}


def parameter_groups(network: CovidCtMaskNet, config: Config) -> list[dict[str, Any]]:
    """The parameters that learn, in groups by name: ``encoder``, ``heads``, ``BN``, ``S``.

    Raises:
        ConfigError: If batch normalization is to learn and the encoder has none.
    """
    rcnn, encoder = network.lesions, network.lesions.backbone.encoder
    inside = {id(parameter) for parameter in encoder.parameters()}
    groups: dict[str, list[nn.Parameter]] = {
        "encoder": list(encoder.parameters()),
        "heads": [p for p in rcnn.parameters() if id(p) not in inside],
    }
    if config.stage == "classes":
        assert network.classes is not None
        masks = [rcnn.roi_heads.mask_head, rcnn.roi_heads.mask_predictor]
        unused = {id(parameter) for part in masks for parameter in part.parameters()}
        groups["heads"] = [p for p in groups["heads"] if id(p) not in unused]
        groups["S"] = list(network.classes.parameters())
        norms = [part for part in encoder.modules() if isinstance(part, nn.BatchNorm2d)]
        groups["BN"] = [parameter for norm in norms for parameter in norm.parameters()]
    wanted: dict[tuple[Stage, Trained], tuple[str, ...]] = {
        ("lesions", "all"): ("encoder", "heads"),
        ("lesions", "heads"): ("heads",),
        ("classes", "S"): ("S",),
        ("classes", "S+BN"): ("S", "BN"),
        ("classes", "all"): ("S", "encoder", "heads"),
    }
    names = wanted[config.stage, config.trained]
    if "BN" in names and not groups["BN"]:
        raise ConfigError(
            f"found trained 'S+BN' with encoder '{config.network.encoder}', expected one with "
            "batch normalization; set trained=S or trained=all, or train another encoder"
        )
    return [{"name": name, "params": groups[name]} for name in names]


def _kinds_of(config: Config) -> tuple[Lesion, ...]:
    return networks.KINDS[config.network.kinds]


def _told_cases(config: Config, cases: Sequence[Case]) -> list[Case]:
    """Slices with a mask of lesions, which tells the kinds if the network is to."""
    known = known_cases(cases, "lesions")
    hiding = [case for case in known if hides_kinds(case, _kinds_of(config))]
    if hiding:
        raise CohortError(
            f"found lesions of unspecified kind in the mask of case '{hiding[0].case}' "
            f"({len(hiding)} such cases), expected kinds, since others would be learned as "
            "healthy; leave these cases out, or set network.kinds=merged"
        )
    return known


def as_found(found: Instances) -> dict[str, Tensor]:
    """Instances as torchmetrics takes them, masks cut at one half."""
    return {
        "boxes": found.boxes,
        "scores": found.scores,
        "labels": found.labels,
        "masks": found.masks > 0.5,
    }


def as_masks(targets: Sequence[Target]) -> list[dict[str, Tensor]]:
    """Targets as torchmetrics takes them."""
    return [{**target, "masks": target["masks"].bool()} for target in targets]


def average_precisions(computed: Mapping[str, Tensor]) -> dict[str, float]:
    """Average precision of masks and boxes at overlaps 0.5, 0.75 and 0.5 to 0.95, 0 to 1.

    Args:
        computed: What torchmetrics gives; where there is nothing to find it is below 0, here 0.
    """
    return {name: max(float(computed[key]), 0.0) for name, key in PRECISIONS.items()}


@contextmanager
def _telling_losses(network: CovidCtMaskNet) -> Iterator[None]:
    """Have Mask R-CNN give losses, in validation as well; batch statistics stay as they are."""
    modes = {part: part.training for part in network.lesions.modules()}
    for part in modes:
        part.training = part.training if isinstance(part, nn.BatchNorm2d) else True
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode
