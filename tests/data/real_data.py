"""Where real data lie, for tests marked ``reference``."""

import os
from pathlib import Path

import pytest


def data_folder(name: str) -> Path:
    """Folder of a data set; skips the test where it is not there."""
    beside = Path(__file__).parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("GROUNDGLASS_DATA", beside)) / name
    if not folder.is_dir():
        pytest.skip(f"no {name} where GROUNDGLASS_DATA points")
    return folder
