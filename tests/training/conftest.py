from pathlib import Path

import pytest

from groundglass.training.run import Run
from groundglass.training.train import train
from tests.training.tiny import QUICK, SMOKE, write_tiny_cohort


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny cohort."""
    return write_tiny_cohort(tmp_path_factory.mktemp("cohort"))


@pytest.fixture(scope="session")
def undisturbed(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of three epochs from start to end."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    return train("baseline_unet", [table], folder, recipe=SMOKE, overrides=QUICK)
