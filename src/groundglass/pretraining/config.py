"""What a pretraining is made of."""

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from groundglass.data.augment import AugmentConfig
from groundglass.settings import Settings

GEOMETRY_ONLY = AugmentConfig(
    rotation_deg=15.0,
    scale=(1.0, 1.4),
    aspect=0.0,
    contrast=(1.0, 1.0),
    brightness=0.0,
    gamma=(1.0, 1.0),
    noise=0.0,
    blur_px=0.0,
    outside=0.0,
)
"""Slices mirrored, turned and cropped: their gray is what is to be painted, so it stays."""


class PretrainConfig(Settings):
    """Settings that every system's pretraining shares; systems add their network's by subclass.

    The defaults are the publication's; a round is the coach's turn and then the network's.

    Attributes:
        system: Name of the system.
        seed: Seed of weights, draws, masks and augmentation.
        first_epochs: Epochs of the network on random masks, before there is a coach.
        rounds: Rounds of coach and network in turn.
        coach_epochs: Epochs of the coach in a round.
        network_epochs: Epochs of the network in a round.
        draws_per_epoch: Slices drawn in one epoch.
        batch_size: Slices per step.
        size_px: (row, column) of the network's input.
        keep: Fraction of a slice that is not erased; k of equation 4.
        learning_rate: First rate of the network's stochastic gradient descent in each turn.
        coach_learning_rate: The same of the coach.
        rate_drops: Parts of a turn after which the rate falls to a tenth.
        momentum: Momentum of both.
        weight_decay: Weight decay of both.
        gradient_norm: Largest norm of a step's gradient; none if empty.
        coach_encoder: Encoder of the coach.
        coach_encoder_weights: Its start weights: ``imagenet``, ``none`` or a safetensors file.
        precision: Numeric type of the networks' layers.
        threads: CPU threads.
        augment: How slices vary.
    """

    system: str
    seed: int = Field(0, ge=0)
    first_epochs: int = Field(100, ge=1)
    rounds: int = Field(10, ge=0)
    coach_epochs: int = Field(100, ge=1)
    network_epochs: int = Field(100, ge=1)
    draws_per_epoch: int = Field(900, ge=1)
    batch_size: int = Field(64, ge=2)
    size_px: tuple[int, int] = (352, 352)
    keep: float = Field(0.75, gt=0, lt=1)
    learning_rate: float = 0.1
    coach_learning_rate: float = 0.1
    rate_drops: tuple[float, ...] = (0.5, 0.75)
    momentum: float = 0.9
    weight_decay: float = 5e-4
    gradient_norm: float | None = None
    coach_encoder: str = "resnet18"
    coach_encoder_weights: str = "none"
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    threads: int = Field(2, ge=1)
    augment: AugmentConfig = GEOMETRY_ONLY

    @field_validator("augment", mode="before")
    @classmethod
    def _gray_stays_where_nothing_is_said(cls, value: Any) -> Any:
        """Some settings of the augmentation leave the others at those of this stage."""
        return {**GEOMETRY_ONLY.model_dump(), **value} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _an_epoch_has_a_batch(self) -> Self:
        if self.draws_per_epoch < self.batch_size:
            raise ValueError("draws_per_epoch must be at least batch_size")
        if any(side <= 0 or side % 32 for side in self.size_px):
            raise ValueError("the sides of size_px must be multiples of 32")
        return self
