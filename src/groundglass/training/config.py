"""What a training run is made of; a typo in it is an error with the field's name."""

import hashlib
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, Field

from groundglass.data.augment import AugmentConfig
from groundglass.settings import Settings, as_yaml

NetworkSetting = str | int | float | list[int] | list[float] | list[str]

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]

_FIRST_SETTINGS = (
    *("system", "seed", "epochs", "draws_per_epoch", "batch_size", "size_px", "learning_rate"),
    *("weight_decay", "gradient_norm", "average_decay", "healthy_weight", "precision", "threads"),
    "augment",
)
_FIRST_AUGMENT_SETTINGS = (
    *("rotation_deg", "scale", "aspect", "shift", "flip", "contrast", "brightness", "gamma"),
    *("noise", "blur_px", "cutout", "outside"),
)
"""Settings that were there when the first weights were published; see ``RunConfig.digest``."""


class NetworkPart(NamedTuple):
    """A part of a network.

    Attributes:
        title: What it is, for people.
        prefix: What the names of its weights begin with.
    """

    title: str
    prefix: str


class RunConfig(Settings):
    """Settings that every system's training shares; systems add theirs by subclass.

    Attributes:
        system: Name of the system.
        seed: Seed of weights, draws and augmentation.
        epochs: Passes of ``draws_per_epoch`` slices.
        draws_per_epoch: Slices drawn in one epoch.
        batch_size: Slices per step.
        size_px: (row, column) of the network's input.
        learning_rate: Peak of the optimizer's rate.
        weight_decay: Weight decay of the optimizer.
        gradient_norm: Largest norm of a step's gradient; none if empty.
        average_decay: Decay of the running average of the weights that is kept.
        healthy_weight: How much more often a slice known to be free of lesions is drawn.
        precision: Lightning's precision; ``auto`` takes bfloat16 where the hardware has it, and the
            config of the run then holds what was taken.
        threads: CPU threads of a training process.
        augment: How training slices vary.
        optimizer: ``adamw``, ``adam`` or ``sgd``.
        momentum: Momentum of ``sgd``.
        lookahead: Whether slow weights follow every sixth step (Zhang et al. 2019).
        schedule: ``cosine``: a linear rise over the first twentieth of the steps, then a cosine
            down to a hundredth; ``step``: times ``step_factor`` every ``step_epochs``;
            ``constant``; ``cyclic``: from ``lowest_share`` of the rate up to it and back in
            ``cycle_epochs``, again and again, in straight lines (Smith 2017).
        step_epochs: Epochs between the drops of the ``step`` schedule.
        step_factor: Factor of each drop.
        cycle_epochs: Epochs of one cycle of the ``cyclic`` schedule.
        lowest_share: Share of the rate that a cycle begins and ends with.
        gradient_value: Largest value in a step's gradient, before its norm is seen to.
        monitor: Metric by which the best epoch is chosen.
        monitor_mode: Whether a larger (``max``) or a smaller one (``min``) is better.
        keep: Whether the ``best`` epoch on the validation split is kept or the ``last`` one,
            which needs no validation split.
        start_weights: Safetensors file of an earlier run whose weights are taken where name and
            shape match.
        mean_of: Digests of the settings of the runs whose weights were averaged to those of this
            one, in which nothing was trained; see ``average-runs``.
        patience: Epochs without a better ``monitor`` after which the training ends; none if empty.
        devices: ``auto``, ``cpu``, ``cpu:2``, ``cuda``, ``cuda:1`` or ``cuda:0,1``; several share
            the draws of an epoch, each with batches of ``batch_size``.
        workers: Processes that prepare batches beside the training.
        logger: ``csv``, or ``tensorboard`` for that as well.
        patients_share: Share of the training patients that is used, drawn by the seed; for learning
            from few labels.
        lesion_threshold: Probability above which a pixel is lesion when the run is used; acts on
            nothing in training. Chosen on the validation split, see ``choose-threshold``.
    """

    system: str
    seed: int = Field(default=0, ge=0, lt=2**32)
    epochs: int = Field(default=30, ge=1)
    draws_per_epoch: int = Field(default=900, ge=1)
    batch_size: int = Field(default=8, ge=1)
    size_px: tuple[int, int] = (256, 352)
    learning_rate: float = Field(default=1e-3, gt=0.0)
    weight_decay: float = Field(default=1e-2, ge=0.0)
    gradient_norm: float | None = Field(default=1.0, gt=0.0)
    average_decay: float = Field(default=0.995, ge=0.0, lt=1.0)
    healthy_weight: float = Field(default=4.0, ge=0.0)
    precision: Precision | Literal["auto"] = "auto"
    threads: int = Field(default=2, ge=1)
    augment: AugmentConfig = AugmentConfig()
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0)
    lookahead: bool = False
    schedule: Literal["cosine", "step", "constant", "cyclic"] = "cosine"
    step_epochs: int = Field(default=50, ge=1)
    step_factor: float = Field(default=0.1, gt=0.0)
    cycle_epochs: float = Field(default=4.0, gt=0.0)
    lowest_share: float = Field(default=0.1, gt=0.0, le=1.0)
    gradient_value: float | None = Field(default=None, gt=0.0)
    monitor: str = "val/lesion_dice"
    monitor_mode: Literal["max", "min"] = "max"
    keep: Literal["best", "last"] = "best"
    start_weights: Path | None = None
    patients_share: float = Field(default=1.0, gt=0.0, le=1.0)
    lesion_threshold: float = Field(default=0.5, gt=0.0, lt=1.0)
    mean_of: tuple[str, ...] = ()
    patience: int | None = Field(default=None, ge=1)
    devices: str = "auto"
    workers: int = Field(default=0, ge=0)
    logger: Literal["csv", "tensorboard"] = "csv"

    def network_settings(self) -> dict[str, NetworkSetting]:
        """The settings that rebuild the network, for the run's card; systems say which."""
        raise NotImplementedError

    def answers(self) -> tuple[str, ...] | None:
        """What the run can be asked for, for its card; ``None`` for all that the system can."""
        return None

    def stands_on(self) -> NetworkPart | None:
        """The part that ``start_weights`` must give whole, since it does not learn; or none."""
        return None

    def digest(self) -> str:
        """Short hash that tells configs apart.

        A setting that came after the first weights were published counts only where it differs from
        its default, so that the digests on published cards stay true.
        """
        unused: dict[str, Any] = dict.fromkeys(_left_at_default(self, _FIRST_SETTINGS), True)
        unused["augment"] = _left_at_default(self.augment, _FIRST_AUGMENT_SETTINGS)
        settings = self.model_dump(mode="json", exclude=unused)
        return hashlib.sha256(as_yaml(settings).encode()).hexdigest()[:12]


def _left_at_default(settings: BaseModel, first: tuple[str, ...]) -> set[str]:
    return {
        name
        for name, field in type(settings).model_fields.items()
        if name not in first
        and not field.is_required()
        and getattr(settings, name) == field.default
    }
