"""Network and coach, one learning while the other stands still (Algorithm 2 of Fung et al.)."""

from collections import defaultdict
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from groundglass.errors import ConfigError
from groundglass.pretraining.coach import (
    SHARP,
    SOFT,
    Coach,
    hard_mask,
    keep_mask,
    random_activation,
)
from groundglass.pretraining.config import PretrainConfig
from groundglass.pretraining.inpainting import (
    Pretext,
    coach_loss,
    cover,
    mean_error,
    network_loss,
    pixel_errors,
)
from groundglass.pretraining.rounds import Turn

Network = TypeVar("Network", bound=nn.Module)

Batches = DataLoader[Mapping[str, Tensor]]


class Masked(NamedTuple):
    """A mask, 1 keeps and 0 erases, and the divergence of the coach that made it."""

    mask: Tensor
    divergence: Tensor


@dataclass(frozen=True, slots=True)
class Difficulty:
    """Error where slices are erased, under masks of one and the same fraction.

    Attributes:
        random: Under random masks.
        coach: Under the coach's; ``None`` while there is no trained coach.
    """

    random: float
    coach: float | None

    @property
    def metrics(self) -> dict[str, float]:
        """By name; ``harder`` over 1 says that the coach makes the task harder."""
        metrics = {"random_error": self.random}
        if self.coach is not None:
            metrics["coach_error"] = self.coach
            metrics["harder"] = self.coach / self.random
        return metrics


class Alternation:
    """Network and coach with what they need to learn in turn.

    Args:
        pretext: Network, and how it paints.
        coach: Chooses what to erase.
        config: Settings of the pretraining.
    """

    def __init__(self, pretext: Pretext, coach: Coach, config: PretrainConfig) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.pretext = pretext
        self.network: nn.Module = _placed(pretext.network, self.device)
        self.coach: Coach = _placed(coach, self.device)
        self.config = config
        self._optimizer: torch.optim.Optimizer

    def begin(self, turn: Turn) -> None:
        """Give the turn to its learner, with a fresh optimizer."""
        learner, other = self._learner(turn), self._other(turn)
        learner.requires_grad_(True)
        other.requires_grad_(False)
        config = self.config
        rate = config.learning_rate if turn.learner == "network" else config.coach_learning_rate
        self._optimizer = torch.optim.SGD(
            learner.parameters(), rate, momentum=config.momentum, weight_decay=config.weight_decay
        )
        for group in self._optimizer.param_groups:
            group["first_rate"] = rate

    def train_epoch(self, turn: Turn, epoch: int, batches: Batches) -> dict[str, float]:
        """One epoch of a turn.

        Args:
            turn: Whose turn it is; :meth:`begin` was called for it.
            epoch: Number of the epoch in the whole pretraining; with the seed it fixes every draw.
            batches: Augmented slices.

        Returns:
            Both losses and the errors, averaged over the steps.

        Raises:
            ConfigError: If a loss is not a finite number.
        """
        seed_all(self.config.seed, epoch)
        self._learner(turn).train()
        self._other(turn).eval()
        sums: dict[str, float] = defaultdict(float)
        for step, batch in enumerate(batches):
            done = (epoch - turn.first_epoch + step / len(batches)) / turn.epochs
            self._set_rate(turn.rate_factor(done, self.config.rate_drops))
            for name, value in self._step(turn, batch["gray"].to(self.device)).items():
                sums[f"train/{name}"] += value / len(batches)
        return dict(sums)

    def measure(self, turn: Turn, batches: Batches) -> Difficulty:
        """Error on slices as they are under hard masks, random ones and the coach's.

        The random masks are the same each time.
        """
        generator = torch.Generator().manual_seed(self.config.seed)
        self.network.eval()
        self.coach.eval()
        sums = {"random": 0.0, "coach": 0.0}
        erased = 0.0
        for batch in batches:
            gray = batch["gray"].to(self.device)
            masks = {"random": hard_mask(random_activation(gray, generator), self.config.keep)}
            if not turn.random_masks:
                masks["coach"] = self.likely_mask(gray)
            for name, mask in masks.items():
                with torch.no_grad():
                    sums[name] += float((self._errors(gray, mask) * (1 - mask)).sum())
            erased += float((1 - masks["random"]).sum())
        coach = None if turn.random_masks else sums["coach"] / erased
        return Difficulty(sums["random"] / erased, coach)

    @torch.no_grad()
    def likely_mask(self, gray: Tensor) -> Tensor:
        """The coach's hard mask of slices, not drawn but the most likely one."""
        self.coach.eval()
        with self._precision():
            activation = self.coach(gray, draw=False).activation
        return hard_mask(activation, self.config.keep)

    def state(self) -> dict[str, Any]:
        """All that is needed to go on after an epoch."""
        return {
            "network": self.network.state_dict(),
            "coach": self.coach.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }

    def restore(self, turn: Turn, state: Mapping[str, Any]) -> None:
        """Go on from a state that was kept in a turn.

        Raises:
            ConfigError: If it is of other networks.
        """
        self.begin(turn)
        try:
            self.network.load_state_dict(state["network"])
            self.coach.load_state_dict(state["coach"])
            self._optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError):
            raise ConfigError(
                "found a checkpoint of other networks, expected those of the run's settings and of "
                "this version; resume with the version that began the run, or start a new one"
            ) from None

    def _step(self, turn: Turn, gray: Tensor) -> dict[str, float]:
        mask, divergence = self._mask(turn, gray)
        errors = self._errors(gray, mask)
        losses = {
            "network_loss": network_loss(errors, mask),
            "coach_loss": coach_loss(errors, mask, divergence),
        }
        loss = losses[f"{turn.learner}_loss"]
        if not torch.isfinite(loss):
            raise ConfigError(
                f"found a loss of {loss.item()} in round {turn.round} of the {turn.learner}, "
                "expected a finite number; lower its learning rate or set gradient_norm"
            )
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.config.gradient_norm is not None:
            nn.utils.clip_grad_norm_(self._learner(turn).parameters(), self.config.gradient_norm)
        self._optimizer.step()
        whole = {"erased_error": mean_error(errors, 1 - mask), "kept": mask.mean()}
        return {name: value.item() for name, value in (losses | whole).items()}

    def _mask(self, turn: Turn, gray: Tensor) -> Masked:
        keep = self.config.keep
        if turn.random_masks:
            return Masked(keep_mask(random_activation(gray), keep, SHARP), gray.new_zeros(()))
        with self._precision():
            opinion = self.coach(gray)
        alpha = SOFT if turn.learner == "coach" else SHARP
        return Masked(keep_mask(opinion.activation, keep, alpha), opinion.divergence)

    def _errors(self, gray: Tensor, mask: Tensor) -> Tensor:
        with self._precision():
            maps = self.pretext.inpaint(cover(gray, mask))
        return pixel_errors(maps, self.pretext.targets(gray))

    def _learner(self, turn: Turn) -> nn.Module:
        return self.network if turn.learner == "network" else self.coach

    def _other(self, turn: Turn) -> nn.Module:
        return self.coach if turn.learner == "network" else self.network

    def _set_rate(self, factor: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = group["first_rate"] * factor

    def _precision(self) -> AbstractContextManager[Any]:
        return torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16-mixed"
        )


def _placed(network: Network, device: torch.device) -> Network:
    return network.to(device).to(memory_format=torch.channels_last)


def seed_all(*seed: int) -> None:
    """Fix torch's random numbers by whole numbers, such as run seed and epoch."""
    torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
