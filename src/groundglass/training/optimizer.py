"""Optimizer and learning-rate schedule of a run, by its settings."""

from collections.abc import Iterable
from typing import Any

import torch
from timm.optim.lookahead import Lookahead
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    SequentialLR,
    StepLR,
)

from groundglass.training.config import RunConfig

Parameters = Iterable[nn.Parameter] | Iterable[dict[str, Any]]
"""Parameters to train, or groups of them with settings of their own."""


def make_optimizer(parameters: Parameters, config: RunConfig) -> Optimizer:
    """The optimizer that a run asks for."""
    rate, decay = config.learning_rate, config.weight_decay
    optimizer: Optimizer
    if config.optimizer == "sgd":
        optimizer = torch.optim.SGD(parameters, rate, momentum=config.momentum, weight_decay=decay)
    elif config.optimizer == "adam":
        optimizer = torch.optim.Adam(parameters, rate, weight_decay=decay)
    else:
        optimizer = torch.optim.AdamW(parameters, rate, weight_decay=decay)
    return Lookahead(optimizer) if config.lookahead else optimizer  # type: ignore[no-untyped-call]


def make_schedule(optimizer: Optimizer, config: RunConfig, steps: int) -> LRScheduler:
    """The schedule that a run asks for, advanced after every step.

    Args:
        optimizer: Its rate is changed.
        config: Settings of the run.
        steps: Steps of the whole run.
    """
    if config.schedule == "constant":
        return ConstantLR(optimizer, factor=1.0, total_iters=0)
    if config.schedule == "step":
        steps_per_epoch = max(1, steps // config.epochs)
        return StepLR(optimizer, config.step_epochs * steps_per_epoch, config.step_factor)
    if config.schedule == "cyclic":
        cycle = max(2.0, config.cycle_epochs * steps / config.epochs)
        return LambdaLR(optimizer, lambda step: _triangle(step / cycle, config.lowest_share))
    rise = max(1, steps // 20)
    return SequentialLR(
        optimizer,
        [
            LinearLR(optimizer, start_factor=0.05, total_iters=rise),
            CosineAnnealingLR(optimizer, max(1, steps - rise), eta_min=config.learning_rate / 100),
        ],
        milestones=[rise],
    )


def _triangle(cycles: float, lowest: float) -> float:
    """Share of the rate after so many cycles: up in straight lines from the lowest, and back."""
    return lowest + (1 - lowest) * (1 - abs(2 * (cycles % 1) - 1))
