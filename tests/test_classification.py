"""An answer of classes refuses what is no probability."""

import numpy as np
import pytest

from groundglass.classification import Classification


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, 1.1])
def test_what_is_no_probability_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="expected 0 to 1"):
        Classification("made", "", {"control": value}, exclusive=False)


def test_a_relevance_that_is_no_number_is_refused() -> None:
    relevance = np.array([0.5, np.nan], np.float32)
    with pytest.raises(ValueError, match="relevance"):
        Classification("made", "", {"control": 0.4}, exclusive=False, relevance=relevance)


def test_a_slice_that_was_not_looked_at_has_no_probabilities() -> None:
    by_slice = np.array([[0.4, 0.6], [np.nan, np.nan]], np.float32)
    said = Classification("made", "", {"a": 0.4, "b": 0.6}, exclusive=True, by_slice=by_slice)
    assert said.by_slice is by_slice
