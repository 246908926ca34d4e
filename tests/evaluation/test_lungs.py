"""Lungs by network, measured on hand-made slices."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from groundglass.data.cohort import Case, Cohort
from groundglass.errors import NotMeasurableError
from groundglass.evaluation import lungs
from groundglass.evaluation.benchmarks import write_benchmarks
from groundglass.evaluation.lungs import LungsEvaluation, evaluate_lungs
from groundglass.systems.card import load_card


class Shifted:
    """Finds the dark square a pixel too far down, and unsurely."""

    card = load_card("lung_unet")

    def views_of(self, gray, slice_px):
        assert slice_px == 1.5
        dark = np.roll((gray < 0.5).astype(np.float32), 1, axis=1)
        return {"axial": 0.2 + 0.6 * dark}


def cases_in(folder: Path, masks: bool = True) -> list[Case]:
    lung = np.zeros((60, 60), np.uint8)
    lung[10:50, 15:45] = 255
    made = []
    for number in range(3):
        image, mask = folder / f"{number}.png", folder / f"{number}-lungs.png"
        cv2.imwrite(str(image), np.where(lung > 0, 40, 200).astype(np.uint8))
        cv2.imwrite(str(mask), lung)
        made.append(
            Case(
                case=str(number),
                patient="p",
                series="s",
                number=number,
                split="test",
                image=image,
                lungs=mask if masks else None,
                lungs_values="255:both" if masks else "",
            )
        )
    return made


def test_each_way_is_measured_and_the_field_brings_the_edge_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lungs, "load_lung_network", lambda *_: Shifted())
    done = []
    result = evaluate_lungs(
        "unet",
        Cohort(tuple(cases_in(tmp_path))),
        "test",
        name="made",
        progress=lambda k, of: done.append((k, of)),
    )
    assert list(result.ways) == ["axial", "axial + CRF"]
    shifted = result.ways["axial"]
    assert shifted.dice.value == pytest.approx(39 / 40)
    assert 0 < shifted.edge_px.value < 1
    assert shifted.near.value == 1
    assert result.ways["axial + CRF"].dice.value > shifted.dice.value
    assert result.cases == 3
    assert done == [(1, 1)]
    stored = tmp_path / "lungs-unet-made-test.json"
    stored.write_text(result.model_dump_json())
    assert LungsEvaluation.model_validate_json(stored.read_text()) == result
    write_benchmarks(tmp_path, tmp_path / "page.md")
    assert "| axial + CRF | 0.9" in (tmp_path / "page.md").read_text()


def test_where_no_lung_is_found_edges_have_no_distance_and_the_page_is_still_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Blind(Shifted):
        def views_of(self, gray, *_):
            return {"axial": np.zeros_like(gray)}

    monkeypatch.setattr(lungs, "load_lung_network", lambda *_: Blind())
    result = evaluate_lungs("unet", Cohort(tuple(cases_in(tmp_path))), "test", name="made")
    assert result.ways["axial"].dice.value == 0
    assert result.ways["axial"].edge_px is result.ways["axial"].near is None
    stored = tmp_path / "lungs-unet-made-test.json"
    stored.write_text(result.model_dump_json())
    assert LungsEvaluation.model_validate_json(stored.read_text()) == result
    write_benchmarks(tmp_path, tmp_path / "page.md")
    assert "| axial | 0.0000 (0.0000 to 0.0000) | - | - |" in (tmp_path / "page.md").read_text()


def test_without_lungs_there_is_nothing_to_measure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lungs, "load_lung_network", lambda *_: Shifted())
    with pytest.raises(NotMeasurableError, match="lung masks"):
        evaluate_lungs("unet", Cohort(tuple(cases_in(tmp_path, False))), "test", name="made")
