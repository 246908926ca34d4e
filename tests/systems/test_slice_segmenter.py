"""Views of a scan: what a network of known nature answers to them."""

import numpy as np
import pytest
import torch

from groundglass.data.phantom import make_phantom
from groundglass.systems.card import load_card
from groundglass.systems.slice_segmenter import VARIANTS, SliceSegmenter, View
from groundglass.systems.system import VariantSegmenter


class Painter(SliceSegmenter):
    """Calls lesion what a function of gray and column says."""

    lesion, consolidation = 0, None

    def __init__(self, says):
        self.card, self.device, self.says = load_card("baseline_unet"), "cpu", says

    def build(self, card):
        raise NotImplementedError

    def probabilities(self, gray):
        columns = torch.linspace(0, 1, gray.shape[-1]).expand_as(gray)
        return self.says(gray, columns).float()


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(0, shape=(24, 96, 96))


def variants(phantom, says):
    """Lesions as they are found, then those of every variant."""
    system = Painter(says)
    first = system.segment(phantom.scan, phantom.lungs).array > 0
    others = system.segment_variants(phantom.scan, phantom.lungs)
    return first, dict(zip(VARIANTS, (m.array > 0 for m in others), strict=True))


def test_a_network_that_judges_by_gray_alone_answers_a_mirrored_scan_alike(phantom):
    first, others = variants(phantom, lambda gray, _columns: gray > 0.45)
    assert first.any()
    assert np.mean(first != others[View(mirrored=True)]) < 0.001


def test_a_network_that_judges_by_place_is_found_out(phantom):
    first, others = variants(phantom, lambda _gray, columns: columns < 0.4)
    mirrored = others[View(mirrored=True)]
    right, left = phantom.lungs.array == 1, phantom.lungs.array == 2
    assert first[right].mean() > first[left].mean()
    assert mirrored[right].mean() < mirrored[left].mean()


def test_a_brighter_scan_shows_more_of_what_is_bright(phantom):
    first, others = variants(phantom, lambda gray, _columns: gray > 0.4)
    brighter, darker = (others[View(gray_offset=o)].sum() for o in (0.02, -0.02))
    assert darker < first.sum() < brighter


def test_progress_runs_once_from_nothing_to_all(phantom):
    told = []
    system = Painter(lambda gray, _columns: gray > 0.4)
    assert isinstance(system, VariantSegmenter)
    assert len(list(system.segment_variants(phantom.scan, phantom.lungs, told.append))) == 3
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)
