from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from groundglass.data import slices
from groundglass.data.augment import Augment, AugmentConfig
from groundglass.data.cohort import UNKNOWN, Case
from groundglass.data.slices import EpochSampler, SliceDataset
from groundglass.geometry.frame import Box, Frame
from groundglass.labels import Lung


@pytest.fixture
def one_case(tmp_path: Path) -> Case:
    """A slice with two lungs and a bright lesion in the right one."""
    picture = np.full((80, 110), 220, np.uint8)
    lungs = np.zeros_like(picture)
    lungs[15:65, 8:45] = 255
    lungs[20:60, 60:100] = 255
    lesion = np.zeros_like(picture)
    lesion[40:55, 12:30] = 255
    picture[lungs > 0] = 60
    picture[lesion > 0] = 150
    for name, pixels in (("image", picture), ("lungs", lungs), ("lesion", lesion)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), pixels)
    return Case(
        case="a",
        patient="p",
        split="train",
        image=tmp_path / "image.png",
        lungs=tmp_path / "lungs.png",
        lungs_values="255:both",
        lesions=tmp_path / "lesion.png",
        lesions_values="255:3",
    )


def test_targets_lie_on_the_picture(one_case: Case) -> None:
    item = SliceDataset([one_case], (96, 128))[0]
    gray, lesion = item["gray"][0], item["lesions"] == 3
    assert gray[lesion].mean() == pytest.approx(150 / 255, abs=0.02)
    assert gray[item["lungs"] == Lung.LEFT].mean() == pytest.approx(60 / 255, abs=0.02)


def test_targets_lie_on_the_picture_after_every_turn_and_mirror(one_case: Case) -> None:
    gentle = AugmentConfig(
        contrast=(1, 1), brightness=0, gamma=(1, 1), noise=0, blur_px=0, outside=0, flip=0.5
    )
    dataset = SliceDataset([one_case], (96, 128), gentle, seed=1)
    for epoch in range(12):
        item = dataset[(epoch, 0)]
        lesion = item["lesions"] == 3
        assert item["gray"][0][lesion].mean() == pytest.approx(150 / 255, abs=0.04)
        columns = [torch.nonzero(item["lungs"] == side)[:, 1].float().mean() for side in Lung]
        assert columns[0] < columns[1], "the right lung lies on the left of the picture"


def test_a_draw_is_the_same_again_and_another_epoch_differs(one_case: Case) -> None:
    dataset = SliceDataset([one_case], (64, 96), AugmentConfig(cutout=0.4), seed=3)
    first, again, other = dataset[(4, 0)], dataset[(4, 0)], dataset[(5, 0)]
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["gray"], other["gray"])


def test_unknown_lungs_are_marked_unknown(one_case: Case) -> None:
    case = one_case.model_copy(update={"lungs": None, "lungs_values": ""})
    assert (SliceDataset([case], (64, 96))[0]["lungs"] == UNKNOWN).all()


def test_cutout_covers_no_more_than_its_share() -> None:
    config = AugmentConfig(
        contrast=(1, 1), brightness=0, gamma=(1, 1), noise=0, blur_px=0, cutout=0.4
    )
    gray = np.full((50, 80), 0.5, np.float32)
    for seed in range(20):
        changed = Augment.seeded(config, seed).gray(gray) != np.float32(0.5)
        rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        assert len(rows) <= 20
        assert len(columns) <= 20
        assert changed.sum() == len(rows) * len(columns)


def test_augmented_gray_stays_between_black_and_white() -> None:
    gray = np.random.default_rng(0).random((40, 60), np.float32) * 2 - 0.5
    for seed in range(20):
        changed = Augment.seeded(AugmentConfig(), seed).gray(gray)
        assert changed.min() >= 0
        assert changed.max() <= 1
        assert changed.dtype == np.float32


def test_a_mirroring_frame_says_so() -> None:
    frame = Frame.fit(Box.whole((50, 70)), (50, 70), (64, 96))
    for seed in range(10):
        new, mirrored = Augment.seeded(AugmentConfig(), seed).frame(frame)
        assert (np.linalg.det(new.matrix[:, :2]) < 0) == mirrored


def cases_of(sizes: dict[str, int], lesions: str | None = None) -> list[Case]:
    return [
        Case(case=f"{p}{k}", patient=p, split="train", image=Path("x"), lesions=lesions)
        for p, n in sizes.items()
        for k in range(n)
    ]


def test_draws_depend_on_seed_and_epoch_alone() -> None:
    cases = cases_of({"a": 30, "b": 5})
    one, two = EpochSampler(cases, 50, 7), EpochSampler(cases, 50, 7)
    two.set_epoch(3)
    assert list(one) != [(0, i) for _, i in two]
    one.set_epoch(3)
    assert list(one) == list(two)


def test_a_long_series_does_not_crowd_out_a_short_one() -> None:
    cases = cases_of({"long": 400, "short": 16})
    drawn = Counter(cases[i].patient for _, i in EpochSampler(cases, 4000, 0))
    assert drawn["long"] / drawn["short"] == pytest.approx(5, rel=0.2)  # sqrt(400 / 16)


def test_healthy_slices_are_drawn_more_often() -> None:
    cases = [*cases_of({"a": 20}), *cases_of({"b": 20}, "none")]
    drawn = Counter(cases[i].patient for _, i in EpochSampler(cases, 4000, 0, healthy_weight=4))
    assert drawn["b"] / drawn["a"] == pytest.approx(4, rel=0.2)


def test_processes_share_the_draws_of_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = EpochSampler(cases_of({"a": 9}), 11, seed=3)
    alone = list(sampler)
    shares = []
    for rank in (0, 1):
        monkeypatch.setattr(slices, "_processes", lambda rank=rank: (rank, 2))
        assert len(list(sampler)) == len(sampler) == 5, "as many for each"
        shares.append(list(sampler))
    assert [draw for pair in zip(*shares, strict=True) for draw in pair] == alone[:10]


def test_a_slice_mirrored_front_to_back_keeps_its_sides_and_its_lesion(one_case: Case) -> None:
    still = dict.fromkeys(("rotation_deg", "aspect", "shift", "flip", "noise", "blur_px"), 0.0)
    still |= {"brightness": 0.0, "outside": 0.0}
    plain = AugmentConfig(**still, scale=(1, 1), contrast=(1, 1), gamma=(1, 1))
    upturned = plain.model_copy(update={"flip_vertical": 1.0})
    first, second = (SliceDataset([one_case], (96, 128), c)[0] for c in (plain, upturned))
    inside = np.s_[8:-8, 8:-8]
    for name in ("lungs", "lesions"):
        moved = first[name].numpy()[::-1][inside] != second[name].numpy()[inside]
        assert moved.mean() < 0.03
    assert (first["lesions"] != second["lesions"]).any()
