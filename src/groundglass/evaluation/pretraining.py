"""How a pretraining went: losses by turn, and whether the coach makes painting harder."""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from groundglass.data.cohort import Case, Cohort, Split, ct_slices
from groundglass.data.slices import SliceDataset
from groundglass.evaluation.result import Estimate, PatientBootstrap, Result, weighted_mean
from groundglass.pretraining.alternation import Alternation
from groundglass.pretraining.coach import hard_mask, random_activation
from groundglass.pretraining.inpainting import cover, pixel_errors
from groundglass.pretraining.picture import Panel, draw_panels
from groundglass.pretraining.pretrain import load_pretraining, read_facts
from groundglass.training.run import Run
from groundglass.training.seen import Learned

_PICTURED = 3

_MASK_TITLES = {"random": "random mask", "coach": "the coach's mask"}


class TurnResult(Result):
    """A turn of one of the two, as the run's log has it.

    Attributes:
        round: Its round; 0 is that of random masks.
        learner: Who learned.
        network_loss: Loss of the network on its training slices, mean over the last epoch.
        coach_loss: The same of the coach.
        random_error: Error where slices that judge are erased, under random masks.
        coach_error: Under the coach's masks of the same area; ``None`` before the first coach.
    """

    round: int
    learner: Literal["network", "coach"]
    network_loss: float
    coach_loss: float
    random_error: float
    coach_error: float | None

    @property
    def harder(self) -> float | None:
        """Error under the coach's masks over that under random ones."""
        return None if self.coach_error is None else self.coach_error / self.random_error


class PretrainingEvaluation(Result):
    """A pretraining turn by turn, and network and coach at its end on slices of a split.

    Attributes:
        run: Name of the run.
        system: Name of the system.
        weights_sha256: Checksum of its weights.
        config: Digest of its settings.
        seed: Its seed.
        train_slices: Slices that it learned from.
        keep: Fraction of a slice that is not erased.
        judged_by: What the errors of the turns are of: ``val``, slices of the validation split; or
            ``seen``, those that it learned from.
        turns: The turns, in their order.
        cohort: Name of the cohort that was measured on.
        split: Its split.
        cases: Number of slices.
        patients: Number of patients.
        seen: Slices among them that the run learned from or was judged by.
        errors: Mean error where slices are erased, by mask: ``random``, ``coach``, and ``turned``,
            the coach's turned by half a turn. Without a round with a coach the first alone.
        harder: Error under the coach's masks over that under random ones.
        place: The same over its masks turned: what is erased in one piece is harder to paint than
            scattered squares, and these are pieces as large, elsewhere.
    """

    run: str
    system: str
    weights_sha256: str
    config: str
    seed: int
    train_slices: int
    keep: float
    judged_by: Literal["val", "seen"]
    turns: tuple[TurnResult, ...]
    cohort: str
    split: str
    cases: int
    patients: int
    seen: int | None
    errors: dict[str, Estimate]
    harder: Estimate | None
    place: Estimate | None


def evaluate_pretraining(
    folder: Path, cohort: Cohort, split: Split, *, name: str, picture: Path | None = None
) -> PretrainingEvaluation:
    """Read the log of a pretraining, and measure its network and coach on slices of a split.

    Args:
        folder: Folder of a finished run of ``groundglass pretrain``.
        cohort: The cohort.
        split: Which part of it.
        name: Name of the cohort.
        picture: PNG to write: a few of the slices under both masks, and what is painted.

    Raises:
        CohortError: If the split holds no CT slice.
        ConfigError: If there is no finished pretraining in the folder.
    """
    run, cases = Run(folder), ct_slices(cohort.split(split))
    pair = load_pretraining(run)
    config = pair.config
    facts = read_facts(run)
    judged_by, turns = _read_turns(run.metrics)
    errors = _errors(pair, cases)
    bootstrap = PatientBootstrap([case.patient for case in cases])
    if picture is not None:
        picture.parent.mkdir(parents=True, exist_ok=True)
        _draw(pair, cases, picture)
    return PretrainingEvaluation(
        run=folder.resolve().name,
        system=config.system,
        weights_sha256=facts["weights"]["sha256"],
        config=facts["config"],
        seed=config.seed,
        train_slices=facts["train_slices"],
        keep=config.keep,
        judged_by=judged_by,
        turns=turns,
        cohort=name,
        split=split,
        cases=len(cases),
        patients=len({case.patient for case in cases}),
        seen=Learned.of(folder).count(cases, split),
        errors={mask: bootstrap.mean(values) for mask, values in errors.items()},
        harder=_ratio(bootstrap, errors, "random"),
        place=_ratio(bootstrap, errors, "turned"),
    )


def _read_turns(metrics: Path) -> tuple[Literal["val", "seen"], tuple[TurnResult, ...]]:
    """What the errors of the log are of, and its turns: their last epochs have the errors."""
    with metrics.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    judged_by: Literal["val", "seen"] = "val" if "val/random_error" in rows[0] else "seen"
    turns = [
        TurnResult.model_validate(
            {
                "round": row["round"],
                "learner": row["learner"],
                "network_loss": _rounded(row["train/network_loss"]),
                "coach_loss": _rounded(row["train/coach_loss"]),
                "random_error": _rounded(row[f"{judged_by}/random_error"]),
                "coach_error": _rounded(row[f"{judged_by}/coach_error"]),
            }
        )
        for row in rows
        if row[f"{judged_by}/random_error"]
    ]
    return judged_by, tuple(turns)


def _rounded(value: float | str | None) -> float | None:
    return None if value in (None, "") else round(float(value), 4)


def _ratio(
    bootstrap: PatientBootstrap, errors: Mapping[str, Sequence[float]], other: str
) -> Estimate | None:
    """Mean error under the coach's masks over that under others, on the same slices."""
    if "coach" not in errors:
        return None
    coach, others = (np.asarray(errors[name], np.float64) for name in ("coach", other))
    return bootstrap.estimate(lambda w: weighted_mean(w, coach) / weighted_mean(w, others))


def _batches(cases: Sequence[Case], pair: Alternation) -> "DataLoader[dict[str, Tensor]]":
    return DataLoader(SliceDataset(cases, pair.config.size_px), batch_size=pair.config.batch_size)


def _errors(pair: Alternation, cases: Sequence[Case]) -> dict[str, list[float]]:
    """Error of each slice where it is erased, by mask."""
    errors: dict[str, list[float]] = defaultdict(list)
    generator = torch.Generator().manual_seed(pair.config.seed)
    for batch in _batches(cases, pair):
        gray = batch["gray"].to(pair.device)
        for name, mask in _masks(pair, gray, generator).items():
            errors[name] += _paint(pair, gray, mask).errors
    return dict(errors)


def _masks(pair: Alternation, gray: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    """Masks of one area: random, and where there is a coach its own, as they are and turned."""
    masks = {"random": hard_mask(random_activation(gray, generator), pair.config.keep)}
    if pair.config.rounds:
        masks["coach"] = pair.likely_mask(gray)
        masks["turned"] = masks["coach"].rot90(2, (2, 3))
    return masks


class _Painted(NamedTuple):
    """Slices under a mask and as they were painted, (slice, row, column), and each one's error."""

    masked: NDArray[np.float32]
    pasted: NDArray[np.float32]
    errors: list[float]


@torch.no_grad()
def _paint(pair: Alternation, gray: Tensor, mask: Tensor) -> _Painted:
    masked = cover(gray, mask)
    maps = pair.pretext.inpaint(masked)
    errors = pixel_errors(maps, pair.pretext.targets(gray)) * (1 - mask)
    pasted = torch.where(mask > 0.5, gray, (maps[-1].float() + 1) / 2)
    return _Painted(
        masked[:, 0].cpu().numpy(),
        pasted[:, 0].cpu().numpy(),
        (errors.sum((1, 2, 3)) / (1 - mask).sum((1, 2, 3))).tolist(),
    )


def _draw(pair: Alternation, cases: Sequence[Case], picture: Path) -> None:
    """Slices from all over the split, each with what is painted under the masks."""
    places = np.linspace(0, len(cases) - 1, min(_PICTURED, len(cases))).astype(int)
    gray = next(iter(_batches([cases[k] for k in places], pair)))["gray"].to(pair.device)
    masks = _masks(pair, gray, torch.Generator().manual_seed(pair.config.seed))
    titles = ["slice"]
    lines: list[list[Panel]] = [[(pixels, "")] for pixels in gray[:, 0].cpu().numpy()]
    for name in (name for name in masks if name in _MASK_TITLES):
        titles += [_MASK_TITLES[name], "painted"]
        for line, masked, pasted, error in zip(
            lines, *_paint(pair, gray, masks[name]), strict=True
        ):
            line += [(masked, ""), (pasted, f"error {error:.2f}")]
    draw_panels(titles, lines, f"{pair.config.keep:.0%} of each slice kept", picture)
