"""COVID-CT-Mask-Net after short trainings: lesions, then classes, then a scan."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from groundglass.analyze import analyze, classify
from groundglass.data.cohort import Cohort, write_cohort
from groundglass.data.phantom import Phantom
from groundglass.data.phantom_files import write_phantom
from groundglass.detections import Detections
from groundglass.errors import CohortError, UnknownNameError
from groundglass.evaluation.split_loss import split_loss
from groundglass.scan import CTSlices
from groundglass.systems import load_system
from groundglass.systems.card import home
from groundglass.training.run import Run
from groundglass.training.train import train
from groundglass.training.variant import make_variant
from tests.systems.system_tester import SystemTester, cohort_table, phantom, pictures

__all__ = ["cohort_table", "phantom", "pictures"]

HOME = home("covid_ct_mask_net")
SMOKE = HOME / "smoke.yaml"
LIGHT = ("network.strides=[16]", "network.coarser_levels=0", "network.mask_channels=[128]")
CLASSES = ("stage=classes", "network.ranked=24", "network.class_units=16", "trained=S")


@pytest.fixture(scope="module")
def lesions_run(cohort_table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stages") / "lesions"
    train("covid_ct_mask_net", [cohort_table], folder, recipe=SMOKE, overrides=["epochs=1"])
    return folder


@pytest.fixture(scope="module")
def labeled_table(cohort_table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The phantom slices with the first of each patient called healthy."""
    classes = ("control", "COVID-19", "COVID-19")
    cases = [
        case.model_copy(update={"label": classes[k % 3]})
        for k, case in enumerate(Cohort.read([cohort_table]).cases)
    ]
    table = tmp_path_factory.mktemp("labeled") / "cohort.csv"
    write_cohort(cases, table)
    return table


@pytest.fixture(scope="module")
def classes_run(
    lesions_run: Path, labeled_table: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("stages") / "classes"
    overrides = [
        *(*CLASSES, "epochs=1", "monitor=val/accuracy"),
        "network.classes=[control, COVID-19]",
        f"start_weights={lesions_run / 'weights.safetensors'}",
    ]
    train("covid_ct_mask_net", [labeled_table], folder, recipe=SMOKE, overrides=overrides)
    return folder


def test_other_thresholds_of_use_need_no_other_weights(lesions_run: Path, tmp_path: Path) -> None:
    make_variant(Run(lesions_run), tmp_path / "variant", ["network.roi_nms=0.75"])
    first, second = (load_system(str(run)) for run in (lesions_run, tmp_path / "variant"))
    assert first.network.lesions.roi_heads.nms_thresh == 0.25
    assert second.network.lesions.roi_heads.nms_thresh == 0.75


def test_module_s_learns_behind_lesions_that_stay_as_they_were(
    lesions_run: Path, classes_run: Path, phantom: Phantom
) -> None:
    first, both = load_system(str(lesions_run)), load_system(str(classes_run))
    assert first.card.answers == ("segment", "detect")
    assert both.card.answers == ("segment", "detect", "classify")
    np.testing.assert_array_equal(
        first.segment(phantom.scan, phantom.lungs).array,
        both.segment(phantom.scan, phantom.lungs).array,
    )
    found = both.classify(phantom.scan, phantom.lungs)  # type: ignore[attr-defined]
    assert set(found.probabilities) == {"control", "COVID-19"}
    assert found.by_slice.shape == (24, 2)
    assert found.relevance.sum() == pytest.approx(1)
    judged = set(np.flatnonzero(found.relevance))
    assert found.evidence
    assert {item.slice_index for item in found.evidence} <= judged
    with (classes_run / "metrics.csv").open() as file:
        assert "val/sensitivity_COVID-19" in file.readline()


def test_a_lone_picture_is_judged_by_its_label(classes_run: Path, labeled_table: Path) -> None:
    system = load_system(str(classes_run))
    case = Cohort.read([labeled_table]).cases[0]
    assert system.truth(case) == {"control": True, "COVID-19": False}  # type: ignore[attr-defined]
    chances, said, exclusive = system.judge(case)  # type: ignore[attr-defined]
    assert sum(chances.values()) == pytest.approx(1, abs=1e-6)
    assert sum(said.values()) == 1
    assert said[max(chances, key=chances.__getitem__)]
    assert exclusive
    other = case.model_copy(update={"label": "tumor"})
    assert system.truth(other) is None  # type: ignore[attr-defined]


def test_fine_tuning_to_other_classes_keeps_all_but_the_last_layer(
    classes_run: Path, labeled_table: Path, tmp_path: Path
) -> None:
    """To three classes, and from these to two, as published for iCTCF."""
    before = classes_run
    for name, classes in (
        ("three", "[control, pneumonia, COVID-19]"),
        ("two", "[control, COVID-19]"),
    ):
        overrides = [
            *(*CLASSES, "epochs=1", "monitor=val/accuracy"),
            f"network.classes={classes}",
            f"start_weights={before / 'weights.safetensors'}",
        ]
        folder = tmp_path / name
        train("covid_ct_mask_net", [labeled_table], folder, recipe=SMOKE, overrides=overrides)
        started = json.loads((folder / "start_weights.json").read_text())
        assert set(started["other_shape"]) == {"classes.output.weight", "classes.output.bias"}
        assert not started["only_in_network"]
        before = folder
    case = Cohort.read([labeled_table]).cases[0]
    chances, _, _ = load_system(str(before)).judge(case)  # type: ignore[attr-defined]
    assert list(chances) == ["control", "COVID-19"]


def test_the_loss_on_a_split_is_drawn_alike_each_time_and_draws_nothing_of_others(
    lesions_run: Path, cohort_table: Path
) -> None:
    cases = Cohort.read([cohort_table]).split("test")
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = split_loss(lesions_run, cases)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    assert split_loss(lesions_run, cases) == first


def test_the_loss_on_a_split_is_that_of_its_labeled_cases(
    classes_run: Path, labeled_table: Path
) -> None:
    cases = Cohort.read([labeled_table]).split("test")
    unlabeled = [case.model_copy(update={"label": ""}) for case in cases]
    assert split_loss(classes_run, unlabeled) is None
    assert split_loss(classes_run, [*unlabeled, *cases]) == split_loss(classes_run, cases)


def test_a_label_that_is_no_class_is_refused(
    lesions_run: Path, labeled_table: Path, tmp_path: Path
) -> None:
    overrides = [
        *(*CLASSES, "network.classes=[healthy, COVID-19]", "monitor=val/accuracy"),
        f"start_weights={lesions_run / 'weights.safetensors'}",
    ]
    with pytest.raises(CohortError, match="found label 'control'"):
        train(
            "covid_ct_mask_net",
            [labeled_table],
            tmp_path / "run",
            recipe=SMOKE,
            overrides=overrides,
        )


def test_boxes_and_masks_of_a_scan_agree(lesions_run: Path, phantom: Phantom) -> None:
    """With every lesion over the threshold, so that there are some after a training of seconds."""
    system = load_system(str(lesions_run))
    system.card = system.card.model_copy(update={"lesion_threshold": 0.05})
    found = system.detect(phantom.scan, phantom.lungs)  # type: ignore[attr-defined]
    mask = system.segment(phantom.scan, phantom.lungs)
    assert isinstance(found, Detections)
    assert found.items
    slices = [item.slice_index for item in found.items]
    assert slices == sorted(slices)
    assert set(slices) == set(np.flatnonzero(mask.array.any((1, 2))))
    for item in found.items:
        top, left, bottom, right = item.box
        assert 0 <= top < bottom <= 96
        assert 0 <= left < right <= 128
        assert item.area_px is not None
        assert item.area_px <= (item.box_area_px + 1) * 1.5


def test_pictures_have_boxes_too(lesions_run: Path, pictures: CTSlices) -> None:
    system = load_system(str(lesions_run))
    lungs = SystemTester()._lungs_of(pictures)
    found = system.detect(pictures, lungs)  # type: ignore[attr-defined]
    for item in found.items:
        rows, columns = pictures.slices[item.slice_index].shape
        assert item.box[2] <= rows
        assert item.box[3] <= columns
    instances = system.find_instances(pictures.slices[0])  # type: ignore[attr-defined]
    assert all(mask.shape == pictures.slices[0].shape for _, mask in instances)
    chance = system.lesion_probability(pictures.slices[0])  # type: ignore[attr-defined]
    assert chance.shape == pictures.slices[0].shape


def test_a_scan_is_analyzed_with_a_run(classes_run: Path, phantom: Phantom, tmp_path: Path) -> None:
    scan = write_phantom(phantom, tmp_path / "scan", "nifti")
    report = analyze(scan, system=str(classes_run), tolerate=["thick-slices"])
    assert report.detections is not None
    assert report.classification is not None
    assert report.provenance.system == "covid_ct_mask_net"


def test_the_shipped_weights_find_lesions_and_tell_no_classes(
    tmp_path: Path, phantom: Phantom
) -> None:
    scan = write_phantom(phantom, tmp_path / "scan", "nifti")
    report = analyze(scan, system="covid_ct_mask_net", tolerate=["thick-slices"])
    assert report.detections is not None
    assert report.classification is None
    with pytest.raises(UnknownNameError, match="does not classify"):
        classify(scan, system="covid_ct_mask_net", tolerate=["thick-slices"])
