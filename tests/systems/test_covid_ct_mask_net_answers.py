"""What COVID-CT-Mask-Net says of scans and pictures, with networks that need no training."""

import json
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
import torch
from torch import nn

from groundglass.data.cohort import Case, Cohort
from groundglass.data.phantom import Phantom
from groundglass.errors import NotMeasurableError
from groundglass.evaluation.classes import judge_pictures
from groundglass.labels import Lung
from groundglass.mask import Mask
from groundglass.scan import AXES, CTScan, Source
from groundglass.systems import load_system
from groundglass.systems.card import Weights, home, load_card
from groundglass.systems.covid_ct_mask_net.network import Instances, build_network
from groundglass.systems.covid_ct_mask_net.predict import Predictor
from groundglass.systems.covid_ct_mask_net.training import Config
from groundglass.training.run import save_weights
from groundglass.write.answer_record import classification_record
from tests.systems.system_tester import cohort_table, phantom, pictures

__all__ = ["cohort_table", "phantom", "pictures"]

CLASSES = (
    *("stage=classes", "network.ranked=24", "network.class_units=16", "trained=S"),
    *("monitor=val/accuracy", "network.classes=[control, COVID-19]"),
)


@pytest.fixture
def classifier(tmp_path: Path) -> Predictor:
    """Both networks of the smoke recipe as they are drawn, for two classes."""
    torch.manual_seed(0)
    config = Config.load(home("covid_ct_mask_net") / "smoke.yaml", list(CLASSES))
    network = build_network(config.network, "lesions")
    weights = Weights(
        file="weights.safetensors",
        sha256=save_weights(network, tmp_path / "weights.safetensors"),
        parameters_m=1.0,
        license="none",
        trained_on="nothing at all",
        seed=0,
        config="",
    )
    update = {
        "answers": ("segment", "detect", "classify"),
        "network": config.network_settings(),
        "size_px": config.size_px,
        "weights": weights,
    }
    card = load_card("covid_ct_mask_net").model_copy(update=update)
    return Predictor(card, tmp_path / "weights.safetensors")


class SaysOf(nn.Module):
    """Stands in for module S: logits from the scores of the ranked boxes alone."""

    def __init__(self, *factors: float, offset: float = 0.0) -> None:
        super().__init__()
        self.factors, self.offset = factors, offset

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        seen = features[..., -1].sum(1)
        return torch.stack([factor * seen + self.offset for factor in self.factors], 1)


def thin_scan(phantom: Phantom, slices: slice, slice_mm: float) -> tuple[CTScan, Mask]:
    """Slices of a phantom as a volume of its own, as if they were that thin."""
    volume = hd.Volume.from_components(
        np.ascontiguousarray(phantom.scan.slices[slices]),
        spacing=(slice_mm, *phantom.scan.spacing_mm[1:]),
        center_position=(0.0, 0.0, 0.0),
        patient_orientation=AXES,
        coordinate_system="PATIENT",
    )
    scan = CTScan(volume, Source("thin", "phantom"))
    return scan, Mask.on(scan, np.ascontiguousarray(phantom.lungs.array[slices]), Lung)


@pytest.mark.parametrize("count", [1, 3])
def test_the_shipped_weights_find_on_thin_volumes_what_they_find_on_thick_ones(
    phantom: Phantom, count: int
) -> None:
    system = load_system("covid_ct_mask_net")
    assert isinstance(system, Predictor)
    slices = slice(11, 11 + count)
    thick = system.detect(*thin_scan(phantom, slices, 12.5))
    thin = system.detect(*thin_scan(phantom, slices, 1.25))
    assert thick.items
    assert thin.items == thick.items


def test_slices_without_lung_have_no_invented_probabilities(
    classifier: Predictor, phantom: Phantom
) -> None:
    seen = np.zeros_like(phantom.lungs.array)
    seen[8:12] = phantom.lungs.array[8:12]
    said = classifier.classify(phantom.scan, Mask.on(phantom.scan, seen, Lung))
    assert said.by_slice is not None
    looked_at = np.isfinite(said.by_slice).all(1)
    assert np.flatnonzero(looked_at).tolist() == [8, 9, 10, 11]
    assert np.isnan(said.by_slice[~looked_at]).all()
    stored = json.loads(classification_record(said, None).model_dump_json())["by_slice"]
    assert [row is not None for row in stored] == looked_at.tolist()


def test_a_class_says_what_its_weights_learned_from(
    classifier: Predictor, phantom: Phantom
) -> None:
    assert classifier.classify(phantom.scan, phantom.lungs).trained_on == "nothing at all"


def test_probabilities_are_numbers_however_unlikely_every_class_is(
    classifier: Predictor, phantom: Phantom
) -> None:
    classifier.network.classes = SaysOf(0.0, 0.0, offset=-300.0)  # type: ignore[assignment]
    said = classifier.classify(phantom.scan, phantom.lungs)
    assert list(said.probabilities.values()) == pytest.approx([0.5, 0.5])


def test_boxes_that_spoke_against_the_class_are_no_evidence(
    classifier: Predictor, phantom: Phantom
) -> None:
    """The logits fall with the scores, that of the second class less; it wins nonetheless."""
    classifier.network.classes = SaysOf(-2.0, -1.0)  # type: ignore[assignment]
    said = classifier.classify(phantom.scan, phantom.lungs)
    assert said.most_likely == "COVID-19"
    assert said.evidence == ()
    classifier.network.classes = SaysOf(1.0, 2.0)  # type: ignore[assignment]
    assert classifier.classify(phantom.scan, phantom.lungs).evidence


def test_a_radiograph_is_no_slice(classifier: Predictor, cohort_table: Path) -> None:
    case = Cohort.read([cohort_table]).cases[0].model_copy(update={"label": "control"})
    chest = case.model_copy(update={"modality": "radiograph"})
    assert classifier.truth(case) == {"control": True, "COVID-19": False}
    assert classifier.truth(chest) is None
    assert classifier.judge(chest) is None
    judged = judge_pictures(classifier, [case, chest])
    assert [one.case for one in judged] == [case.case]


def test_weights_of_lesions_say_how_to_get_classes(cohort_table: Path) -> None:
    case: Case = Cohort.read([cohort_table]).cases[0]
    with pytest.raises(NotMeasurableError, match=r"recipe_classes\.yaml --set start_weights="):
        load_system("covid_ct_mask_net").judge(case)  # type: ignore[attr-defined]


def test_a_box_without_outline_is_found_with_an_empty_one(classifier: Predictor) -> None:
    """Average precision of boxes would be flattered if boxes whose mask is empty were left out."""
    answer = Instances(
        boxes=torch.tensor([[10.0, 10.0, 30.0, 30.0], [50.0, 40.0, 90.0, 80.0]]),
        scores=torch.tensor([0.9, 0.6]),
        labels=torch.tensor([1, 1]),
        masks=torch.stack([torch.full((96, 128), 0.4), torch.zeros(96, 128)]),
    )
    answer.masks[1, 45:70, 55:80] = 0.9

    class Answers(nn.Module):
        config = classifier.network.config

        def forward(self, gray: torch.Tensor) -> list[Instances]:
            return [answer] * len(gray)

    classifier.network = Answers()  # type: ignore[assignment]
    found = classifier.find_instances(np.zeros((96, 128), np.uint8))
    assert [detection.score for detection, _ in found] == pytest.approx([0.9, 0.6])
    assert [bool(mask.any()) for _, mask in found] == [False, True]
    assert found[0][0].area_px == 0
