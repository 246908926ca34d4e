"""Specialized streams: what a case of a cohort tells, and what a stage can learn from."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from groundglass.data.case import Case
from groundglass.data.cohort import Cohort
from groundglass.errors import CohortError, ConfigError
from groundglass.labels import Lesion
from groundglass.systems import load_system
from groundglass.systems.card import home
from groundglass.systems.specialized_streams import training
from groundglass.systems.specialized_streams.losses import presence, stream_loss
from groundglass.systems.specialized_streams.pictures import told
from groundglass.systems.specialized_streams.predict import Predictor
from groundglass.systems.specialized_streams.training import Config, Module
from groundglass.training.fit import prepare
from groundglass.training.run import Run
from tests.read.broken_others import gray_slice
from tests.systems.test_specialized_streams import MANIFESTATIONS, untrained_run

SMOKE = home("specialized_streams") / "smoke.yaml"
KINDS = (Lesion.GROUND_GLASS, Lesion.CONSOLIDATION)


def case(folder: Path, name: str, **facts: object) -> Case:
    """A slice; where ``values`` are given, with a mask of ground-glass opacity in one corner."""
    image, mask = folder / f"{name}.png", folder / f"{name}-mask.png"
    cv2.imwrite(str(image), gray_slice())
    lesions = np.zeros(gray_slice().shape, np.uint8)
    lesions[:32, :32] = facts.pop("value", 1)
    cv2.imwrite(str(mask), lesions)
    values = facts.pop("values", None)
    if values is not None:
        facts |= {"lesions": mask, "lesions_values": values}
    return Case.model_validate(
        {"case": name, "patient": name, "split": "train", "image": image} | facts
    )


def test_a_mask_tells_of_what_its_values_name(tmp_path: Path) -> None:
    kinds = case(tmp_path, "a", values="1:1 2:2")
    hidden = case(tmp_path, "b", values="255:3")
    healthy = case(tmp_path, "c", lesions="none")
    assert [told(kinds, label) for label in Lesion] == [True, True, True, False]
    assert [told(hidden, label) for label in Lesion] == [True, True, True, False]
    assert all(told(healthy, label) for label in Lesion)
    assert not any(told(case(tmp_path, "d"), label) for label in Lesion)


@pytest.mark.parametrize("stage", [[], MANIFESTATIONS])
def test_an_effusion_that_no_mask_names_cannot_be_learned(tmp_path: Path, stage: list[str]) -> None:
    config = Config.load(SMOKE, [*stage, "labels=[1, 2, 4]"])
    cases = [case(tmp_path, "a", values="1:1 2:2"), case(tmp_path, "b", lesions="none")]
    with pytest.raises(CohortError, match=r"no training case of pleural effusion \(label 4\)"):
        Module.train_data(config, cases)
    Module.train_data(config, [*cases, case(tmp_path, "c", values="9:4")])


def test_what_a_mask_leaves_out_teaches_no_stream() -> None:
    labels = (*KINDS, Lesion.PLEURAL_EFFUSION)
    lesions = torch.tensor([[[0, 1], [2, 0]]], dtype=torch.uint8)
    logits = torch.zeros(1, 3, 2, 2, requires_grad=True)
    stream_loss(logits, lesions, labels, torch.tensor([[True, True, True, False]])).backward()
    assert logits.grad is not None
    assert logits.grad[0, :2].all()
    assert not logits.grad[0, 2].any()


def test_any_opacity_is_there_where_a_kind_of_it_is() -> None:
    lesions = torch.tensor([[[0, 1]], [[0, 3]], [[0, 0]], [[0, 4]]], dtype=torch.uint8)
    shown, known = presence(lesions, (Lesion.UNSPECIFIED,))
    assert shown[:, 0].tolist() == [1, 1, 0, 0]
    assert known.all()


def test_the_truth_of_a_picture_is_told_as_it_was_learned(tmp_path: Path) -> None:
    system = load_system(str(untrained_run(tmp_path / "any", *MANIFESTATIONS, "labels=[3]")))
    assert isinstance(system, Predictor)
    assert system.truth(case(tmp_path, "a", values="1:1 2:2")) == {Lesion.UNSPECIFIED.title: True}
    kinds = load_system(str(untrained_run(tmp_path / "kinds", *MANIFESTATIONS)))
    assert isinstance(kinds, Predictor)
    assert kinds.truth(case(tmp_path, "b", values="1:1 2:2")) == {
        "ground-glass opacity": True,
        "consolidation": False,
    }
    assert kinds.truth(case(tmp_path, "c", values="1:1")) is None


RECOGNITION = ["stage=recognition", "size_px=[32, 32]"]


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ("{}", "0 classes, expected two at least"),
        ("{sick: [s]}", "1 classes, expected two at least"),
        ("{sick: [s], well: []}", "a class without labels"),
        ("{sick: [s, w], well: [w]}", "the label 'w' in two classes"),
        ("{'sick | ill': [s], well: [w]}", "expected one without '|'"),
        ("{sick: ['s; t'], well: [w]}", "';'"),
    ],
)
def test_classes_that_cannot_be_told_apart_are_refused(classes: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Config.load(SMOKE, [*RECOGNITION, f"classes={classes}"])
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("modality", "label", "missing"),
    [("radiograph", "w", "modality ct"), ("ct", "s", "class 'well'")],
)
def test_a_class_or_modality_without_a_case_is_refused(
    tmp_path: Path, modality: str, label: str, missing: str
) -> None:
    config = Config.load(SMOKE, [*RECOGNITION, "classes={sick: [s], well: [w]}"])
    cases = [
        case(tmp_path, "a", label="s", modality="radiograph"),
        case(tmp_path, "b", label=label, modality=modality),
    ]
    with pytest.raises(CohortError, match=f"found no training case of {missing}"):
        Module.train_data(config, cases)


def test_a_patient_is_told_by_the_cases_that_are_judged(tmp_path: Path) -> None:
    """The first validation case has no mask: numbers count from the second."""
    cases = [
        case(tmp_path, "a", values="1:1 2:2"),
        case(tmp_path, "unknown", split="val"),
        case(tmp_path, "known", values="1:1 2:2", split="val"),
    ]
    prepared = prepare(Run(tmp_path / "run"), Config.load(SMOKE, []), Cohort(cases), training)
    assert prepared.module.patients == ["known"]
