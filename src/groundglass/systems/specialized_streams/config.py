"""Settings of the three stages, and which cases of a cohort each can learn from."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from groundglass.data.case import Case
from groundglass.errors import CohortError
from groundglass.labels import Lesion
from groundglass.networks.encoder import standardization_of
from groundglass.systems.specialized_streams.network import Stage
from groundglass.systems.specialized_streams.pictures import told
from groundglass.training.config import NetworkSetting, RunConfig


class Config(RunConfig):
    """Settings of the three stages.

    Attributes:
        stage: What this run trains.
        encoder: Body of the recognition, or encoder of the streams.
        encoder_weights: ``imagenet`` (downloaded), ``none``, or a safetensors file.
        frozen: Whether the body of the recognition stays as it is; the publication's way.
        views: Fixed views of each picture that the recognition learns from: a frozen body looks at
            each of them once. With 0 every draw is a new view.
        cache: Folder where what the body made of views is kept for other runs.
        classes: Labels of the cohort by class; cases of other labels are left out.
        modalities: What the recognition learns from: ``radiograph``, ``ct``, or ``both``, which
            are then shown equally often, as the classes are.
        labels: Numbers of the manifestations, of ``Lesion``: 1 ground-glass opacity,
            2 consolidation, 3 any opacity, 4 pleural effusion.
        kinds_weight: How much more often a slice is drawn whose mask names the manifestation of all
            that it shows, where streams also learn from masks that do not.
        any_opacity: Whether a lesion of unknown manifestation teaches the streams that one of them
            has to see it, whichever.
        filters: Kernels of each convolution of the manifestation network.
        shared: Whether one network finds all manifestations, in place of one for each.
        decoder_channels: Channels of DeepLab's decoder.
    """

    stage: Stage = "streams"
    encoder: str = "mobilenet_v2"
    encoder_weights: str = "imagenet"
    frozen: bool = True
    views: int = Field(default=0, ge=0)
    cache: Path | None = None
    classes: dict[str, tuple[str, ...]] = Field(default={})
    modalities: Literal["radiograph", "ct", "both"] = "both"
    labels: tuple[Lesion, ...] = Field(
        default=(Lesion.GROUND_GLASS, Lesion.CONSOLIDATION), min_length=1
    )
    kinds_weight: float = Field(default=1.0, gt=0.0)
    any_opacity: bool = False
    filters: tuple[int, ...] = (16, 32, 64, 64)
    shared: bool = False
    decoder_channels: int = 256

    @model_validator(mode="after")
    def _views_are_of_a_frozen_body(self) -> Self:
        if self.views and not (self.stage == "recognition" and self.frozen):
            raise ValueError(
                f"views of {self.views} for a body that learns, expected a frozen one in stage "
                "'recognition'; set views=0"
            )
        return self

    @model_validator(mode="after")
    def _classes_are_told_apart(self) -> Self:
        if self.stage != "recognition":
            return self
        labels = [label for of in self.classes.values() for label in of]
        twice = [label for label, times in Counter(labels).items() if times > 1]
        unclear = [name for name in self.classes if not name.strip() or "|" in name]
        unclear += [label for label in labels if not label or "|" in label or ";" in label]
        wrong = ""
        if len(self.classes) < 2:
            wrong = f"{len(self.classes)} classes, expected two at least"
        elif not all(self.classes.values()):
            wrong = "a class without labels, expected one at least"
        elif twice:
            wrong = f"the label '{twice[0]}' in two classes, expected it in one"
        elif unclear:
            wrong = f"the name '{unclear[0]}', expected one without '|' and, in labels, ';'"
        if wrong:
            raise ValueError(f"{wrong}; correct classes")
        return self

    def network_settings(self) -> dict[str, NetworkSetting]:
        """Everything that shapes the network of the stage."""
        numbers = [int(label) for label in self.labels]
        mean, deviation = standardization_of(self.encoder)
        stages: dict[Stage, dict[str, NetworkSetting]] = {
            "recognition": {
                "body": self.encoder,
                "classes": " | ".join(self.classes),
                "cohort_labels": " | ".join("; ".join(of) for of in self.classes.values()),
                "frozen": self.frozen,
                "modalities": self.modalities,
                "mean": list(mean),
                "deviation": list(deviation),
            },
            "manifestations": {
                "labels": numbers,
                "filters": list(self.filters),
                "thresholds": [50] * len(numbers),
            },
            "streams": {
                "encoder": self.encoder,
                "labels": numbers,
                "shared": self.shared,
                "decoder_channels": self.decoder_channels,
            },
        }
        settings = {"size_px": list(self.size_px), **stages[self.stage]}
        return {f"{self.stage}_{name}": value for name, value in settings.items()}

    def class_numbers(self) -> Mapping[str, int]:
        """Index of the class by the cohort's label."""
        return {
            label: index for index, labels in enumerate(self.classes.values()) for label in labels
        }

    def usable(self, cases: Sequence[Case]) -> list[Case]:
        """The cases that the stage can learn from.

        Raises:
            CohortError: If there is none.
        """
        kept = self.known(cases)
        if not kept:
            raise CohortError(
                f"found no case among {len(cases)} that stage '{self.stage}' can learn from, "
                "expected pictures with a class of the settings, or with a mask of lesions; "
                "check the tables, classes and modalities"
            )
        return kept

    def known(self, cases: Sequence[Case]) -> list[Case]:
        """The pictures of which is known what the stage tells."""
        cases = [case for case in cases if not case.is_series]
        if self.stage == "recognition":
            wanted = {"ct", "radiograph"} if self.modalities == "both" else {self.modalities}
            known = self.class_numbers()
            kept = [c for c in cases if c.modality in wanted and c.label in known]
        else:
            kept = [c for c in cases if c.is_slice and any(told(c, k) for k in self.labels)]
        if self.stage == "manifestations" and Lesion.UNSPECIFIED not in self.labels:
            kept = [case for case in kept if not _hides_kinds(case)]
        return kept

    def refuse_unlearnable(self, cases: Sequence[Case]) -> None:
        """Refuse training cases that lack all of something that the stage is to tell.

        Args:
            cases: Usable ones of the training split.

        Raises:
            CohortError: If there is no case of a class or modality, or no mask that names a
                manifestation.
        """
        if self.stage == "recognition":
            numbers = self.class_numbers()
            found = {list(self.classes)[numbers[case.label]] for case in cases}
            missing = [f"class '{name}'" for name in self.classes if name not in found]
            wanted = ("radiograph", "ct") if self.modalities == "both" else (self.modalities,)
            modalities = {case.modality for case in cases}
            missing += [f"modality {name}" for name in wanted if name not in modalities]
            advice = "give a table that has them, or set classes and modalities"
        else:
            shown = [c for c in cases if c.lesions != "none"]
            missing = [f"{k.title} (label {int(k)})" for k in self.labels if not _names(shown, k)]
            advice = "give a table whose lesions_values name it, or set labels"
        if missing:
            raise CohortError(
                f"found no training case of {missing[0]} among {len(cases)}, expected some; "
                f"{advice}"
            )


def _hides_kinds(case: Case) -> bool:
    """Whether the mask of a case may hold lesions of unknown manifestation."""
    meanings = {item.partition(":")[2] for item in case.lesions_values.split()}
    return str(int(Lesion.UNSPECIFIED)) in meanings


def names_kinds(case: Case) -> bool:
    """Whether the mask of a case shows lesions and names the manifestation of each."""
    return case.lesions not in (None, "none") and not _hides_kinds(case)


def _names(cases: Sequence[Case], label: Lesion) -> bool:
    """Whether the mask of a case names a manifestation, and not only lesions of unknown kind."""
    if label is Lesion.UNSPECIFIED:
        return any(told(case, label) for case in cases)
    return any(f":{int(label)}" in case.lesions_values for case in cases)
