"""Fill the table of a plan: train what is missing, measure it, store one result per run."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundglass.data.cohort import Cohort
from groundglass.errors import ConfigError
from groundglass.evaluation.evaluate import Tell, evaluate
from groundglass.evaluation.plan import Test
from groundglass.evaluation.result import Progress
from groundglass.evaluation.seeds import AnyEvaluation
from groundglass.evaluation.trial import Trial, TrialResult, list_trials, read_trial
from groundglass.pretraining.pretrain import pretrain
from groundglass.systems.card import home
from groundglass.training.average import average_runs
from groundglass.training.progressive import last_round, learn_progressively
from groundglass.training.run import Run, replace_text
from groundglass.training.train import that_change_nothing, train
from groundglass.training.variant import make_variant
from groundglass.training.watcher import Watcher
from groundglass.weights import sha256_of

ORDER = "order.json"
"""File in a run's folder that says what the plan asked for, and whether training is finished."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """Where a plan is carried out.

    Attributes:
        tables: Cohort table by name of the cohort.
        runs: Folder of the runs.
        results: Folder of the results.
        device: Where networks run while they are measured.
        local: Settings of this machine that every run takes and no plan names, as ``key=value``:
            threads, or the file of an encoder's start weights.
    """

    tables: Mapping[str, Path]
    runs: Path
    results: Path
    device: str = "cpu"
    local: tuple[str, ...] = ()

    def result_file(self, trial: Trial) -> Path:
        """Where the result of a trial is stored."""
        return self.results / f"trial-{trial.name}.json"

    def carry_out(
        self,
        trials: Sequence[Trial],
        *,
        tell: Tell | None = None,
        progress: Progress | None = None,
    ) -> Iterator[TrialResult]:
        """Train and measure what is missing; of a finished trial, tests that came later alone.

        A row that others start from is trained first, whether it was asked for or not. Where its
        stored result is of other weights than its run, it is measured again, so that a table is of
        one set of networks.

        Args:
            trials: What is wanted.
            tell: Told what begins.
            progress: Told how many slices of a test are measured.

        Yields:
            Each new result, stored already.

        Raises:
            CohortError: If a cohort to measure on is not sound.
            ConfigError: If a cohort has no table, or a run was made for another order.
        """
        unfinished = [trial for trial in trials if _missing_tests(trial, self._stored(trial))]
        in_order = [one for trial in unfinished for one in (*self._starts_to_renew(trial), trial)]
        wanted = list({trial.name: trial for trial in in_order}.values())
        self._need_tables(wanted)
        # read before the long work, so that a fault in one shows at once
        names = sorted({test.cohort for trial in wanted for test in trial.data.tests})
        tests = {name: Cohort.read([self.tables[name]]) for name in names}
        for trial in wanted:
            folder = self.train(trial, tell)
            stored = self._stored_of_run(trial, tell)
            missing = _missing_tests(trial, stored)
            if trial.row.kind == "pretrain" or not missing:
                continue
            if tell is not None:
                tell(f"measuring {trial.name}")
            measured = [self._measure(folder, test, tests, tell, progress) for test in missing]
            result = TrialResult(
                plan=trial.plan.name,
                row=trial.row.name,
                data=trial.data.name,
                seed=trial.seed,
                order=trial.order_digest,
                evaluations=(*(stored.evaluations if stored else ()), *measured),
            )
            self.results.mkdir(parents=True, exist_ok=True)
            replace_text(self.result_file(trial), result.model_dump_json(indent=2) + "\n")
            yield result

    def _stored(self, trial: Trial) -> TrialResult | None:
        file = self.result_file(trial)
        return read_trial(file, trial) if file.is_file() else None

    def _run(self, trial: Trial) -> Run:
        folder = self.runs / trial.name
        return Run(folder) if trial.row.unlabeled is None else last_round(folder)

    def _weights(self, trial: Trial) -> str | None:
        """Checksum of the weights that the run of a trial has now."""
        file = self._run(trial).weights
        return sha256_of(file) if file.is_file() else None

    def _starts_to_renew(self, trial: Trial) -> list[Trial]:
        """What a trial stands on, where its result is, or may come to be, of other weights."""
        found: list[Trial] = []
        for source in trial.sources:
            found += self._starts_to_renew(source)
            stored, weights = self._stored(source), self._weights(source)
            gone = weights is None and _is_finished(self.runs / trial.name, trial.order)
            known = () if stored is None or gone else stored.evaluations
            if any(one.weights_sha256 != weights for one in known):
                found.append(source)
        return found

    def _stored_of_run(self, trial: Trial, tell: Tell | None) -> TrialResult | None:
        """The stored result of a trained trial, as far as it is of the weights of its run."""
        stored, weights = self._stored(trial), self._weights(trial)
        if stored is None or weights is None:
            return stored
        kept = tuple(one for one in stored.evaluations if one.weights_sha256 == weights)
        if len(kept) < len(stored.evaluations) and tell is not None:
            on_it = [one.name for one in _started_from(trial) if self.result_file(one).is_file()]
            tell(
                f"the stored result of {trial.name} is of other weights than its run has now: it "
                "is measured again"
                + (f"; {', '.join(on_it)} may have started from the other weights" if on_it else "")
            )
        return stored.model_copy(update={"evaluations": kept})

    def _trained_on(self, trial: Trial) -> set[str]:
        """Cohorts that a trial, and what it starts from, still need."""
        if _is_finished(self.runs / trial.name, trial.order):
            return set()
        before = {name for source in trial.sources for name in self._trained_on(source)}
        others = {trial.row.unlabeled.cohort} if trial.row.unlabeled else set()
        return before | others | set(trial.data.train)

    def _need_tables(self, trials: Sequence[Trial]) -> None:
        needed = {name for trial in trials for name in self._trained_on(trial)}
        needed |= {test.cohort for trial in trials for test in trial.data.tests}
        missing = sorted(needed - set(self.tables))
        if missing:
            raise ConfigError(
                f"found no table for cohort '{missing[0]}', expected one for each of "
                f"{', '.join(sorted(needed))}; give --data {missing[0]}=TABLE.csv"
            )

    def train(self, trial: Trial, tell: Tell | None = None) -> Path:
        """Folder of the finished run of a trial, made unless it was; what it starts from first.

        That of a row with unlabeled slices is its last round.

        Raises:
            ConfigError: If the folder holds a run that was made for another order.
        """
        folder = self.runs / trial.name
        order = trial.order
        if _is_finished(folder, order):
            return self._run(trial).folder
        sources = [self.train(source, tell) for source in trial.sources]
        if trial.row.average_of:
            average_runs([Run(source) for source in sources], folder)
            _write_order(folder, order, finished=True)
            return folder
        settings = [f"{key}={json.dumps(value)}" for key, value in order["settings"].items()]
        if trial.row.weights_of is not None:
            make_variant(Run(sources[0]), folder, settings)
            _write_order(folder, order, finished=True)
            return folder
        if tell is not None:
            tell(f"training {trial.name}")
        overrides = [*self.local, *settings]
        for source in sources:
            start_weights = str((source / "weights.safetensors").resolve())
            overrides.append(f"start_weights={json.dumps(start_weights)}")
        folder.mkdir(parents=True, exist_ok=True)
        _write_order(folder, order, finished=False)
        self._begin_or_resume(trial, folder, overrides, _Teller(tell))
        _write_order(folder, order, finished=True)
        return self._run(trial).folder

    def _begin_or_resume(
        self, trial: Trial, folder: Path, overrides: list[str], watcher: Watcher
    ) -> None:
        row, tables = trial.row, [self.tables[name] for name in trial.data.train]
        recipe = home(row.system) / row.recipe
        if row.unlabeled is not None:
            learn_progressively(
                row.system,
                tables,
                self.tables[row.unlabeled.cohort],
                folder,
                group=row.unlabeled.group,
                slices=row.unlabeled.slices,
                seed=trial.seed,
                recipe=recipe,
                overrides=overrides,
                watcher=watcher,
            )
            return
        resume = Run(folder).config.is_file()
        pretrains = row.kind == "pretrain"
        begin = pretrain if pretrains else train
        kept = [] if pretrains else that_change_nothing(overrides)
        begin(
            row.system,
            tables,
            folder,
            recipe=None if resume else recipe,
            overrides=kept if resume else overrides,
            resume=resume,
            watcher=watcher,
        )

    def _measure(
        self,
        folder: Path,
        test: Test,
        tests: Mapping[str, Cohort],
        tell: Tell | None,
        progress: Progress | None,
    ) -> AnyEvaluation:
        return evaluate(
            str(folder),
            tests[test.cohort],
            test.split,
            name=test.cohort,
            protocol=test.protocol,
            device=self.device,
            tell=tell,
            progress=progress,
        ).evaluation


def _missing_tests(trial: Trial, stored: TrialResult | None) -> list[Test]:
    """What the plan asks to measure of a trial and is not stored."""
    return [test for test in trial.data.tests if stored is None or stored.of(test) is None]


def _started_from(start: Trial) -> list[Trial]:
    """Trials of the plan that start from a trial."""
    trials = list_trials(start.plan)
    return [one for one in trials if start.name in {source.name for source in one.sources}]


class _Teller(Watcher):
    """Passes on what a training has to say."""

    def __init__(self, tell: Tell | None) -> None:
        self.tell = tell

    def line(self, text: str) -> None:
        """Something that a person should read."""
        if self.tell is not None:
            self.tell(text)


def _is_finished(folder: Path, order: dict[str, Any]) -> bool:
    file = folder / ORDER
    if not file.is_file():
        return False
    stored = json.loads(file.read_text(encoding="utf-8"))
    finished = bool(stored.pop("finished"))
    if stored != order:
        differing = [key for key in order if stored.get(key) != order[key]]
        raise ConfigError(
            f"found run '{folder.name}' made with other {', '.join(differing)} than the plan has, "
            "expected the same; remove the run or give the row another name"
        )
    return finished


def _write_order(folder: Path, order: dict[str, Any], *, finished: bool) -> None:
    text = json.dumps({**order, "finished": finished}, indent=2)
    replace_text(folder / ORDER, text + "\n")
