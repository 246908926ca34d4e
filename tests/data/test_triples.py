"""Slices between their neighbors, and now and then without."""

from pathlib import Path

import torch

from groundglass.data.augment import AugmentConfig
from groundglass.data.triples import TripleDataset
from tests.data.test_stacks import case_of, rough

SIZE = (64, 64)


def triples_of(folder: Path, lone_share: float, reversed_share: float = 0.0) -> TripleDataset:
    cases = [case_of(folder, number, rough(SIZE, number)) for number in range(3)]
    return TripleDataset(
        cases, SIZE, AugmentConfig(), seed=3, lone_share=lone_share, reversed_share=reversed_share
    )


def alone(gray: torch.Tensor) -> bool:
    return not gray[[0, 2]].any()


def test_slices_are_shown_alone_as_often_as_asked_for(tmp_path: Path):
    draws = [(epoch, 1) for epoch in range(200)]
    shown = triples_of(tmp_path, 0.25)
    often = sum(alone(shown[draw]["gray"]) for draw in draws)
    assert 30 <= often <= 70
    assert not any(alone(triples_of(tmp_path, 0.0)[draw]["gray"]) for draw in draws[:20])
    assert all(alone(triples_of(tmp_path, 1.0)[draw]["gray"]) for draw in draws[:20])


def test_a_slice_shown_alone_is_the_same_slice_and_the_draw_repeats(tmp_path: Path):
    between, lone = triples_of(tmp_path, 0.0), triples_of(tmp_path, 0.5)
    for epoch in range(20):
        torch.testing.assert_close(lone[epoch, 1]["gray"][1], between[epoch, 1]["gray"][1])
        torch.testing.assert_close(lone[epoch, 1]["gray"], lone[epoch, 1]["gray"])


def test_neighbors_change_places_as_often_as_asked_for(tmp_path: Path):
    straight, turned = triples_of(tmp_path, 0.0), triples_of(tmp_path, 0.0, 0.5)
    often = 0
    for epoch in range(100):
        one, two = straight[epoch, 1]["gray"], turned[epoch, 1]["gray"]
        assert torch.equal(one, two) or torch.equal(one, two.flip(0))
        often += not torch.equal(one, two)
    assert 30 <= often <= 70
