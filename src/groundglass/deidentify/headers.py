"""DICOM headers after the Basic Application Level Confidentiality Profile.

The table of the profile (PS3.15 table E.1-1) and what to do with each attribute come from
dicom-anonymizer. Stricter than that library: items of sequences are cleaned as well, at any depth;
sequences that the table names are removed whole; an empty date is empty, not a day of the year 1.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import cache
from importlib.metadata import version

from dicomanonymizer import simpledicomanonymizer as profile
from pydicom import Dataset, config
from pydicom.datadict import dictionary_VR
from pydicom.multival import MultiValue
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.tag import BaseTag

from groundglass.deidentify.pseudonyms import Pseudonyms, shifted

EDITION = "2026c"
"""Edition of the standard whose table is applied."""

Rule = Callable[[Dataset, tuple[int, int]], None]
"""Cleans one attribute of a data set."""

_MODIFIED = {"remove": "REMOVED", "shift": "MODIFIED", "keep": "UNMODIFIED"}
_OPTIONS: Mapping[str, tuple[Code, ...]] = {
    "remove": (),
    "shift": (codes.DCM.RetainLongitudinalTemporalInformationModifiedDatesOption,),
    "keep": (codes.DCM.RetainLongitudinalTemporalInformationFullDatesOption,),
}
_DATES_AND_TIMES = ("DA", "DT", "TM")
_ABOUT_THE_PATIENT = 0x0010
"""Group of attributes whose dates, such as that of birth, no option retains."""


def patient_of(header: Dataset) -> tuple[str, ...]:
    """What tells one patient from another: identifier and issuer, else the study."""
    identifier = str(header.get("PatientID") or "").strip()
    if identifier:
        return identifier, str(header.get("IssuerOfPatientID") or "").strip()
    return (str(header.get("StudyInstanceUID") or ""),)


def cleaned(headers: Sequence[Dataset], dates: str, pseudonyms: Pseudonyms) -> tuple[Dataset, ...]:
    """Copies of the headers of one series without anything that the profile does not allow.

    Name and identifier of the patient become one pseudonym, and every unique identifier its own
    replacement, the same wherever it stood.

    Args:
        headers: Headers without pixels.
        dates: A name in ``groundglass.deidentify.DATES``.
        pseudonyms: What stands in their place.
    """
    patient = patient_of(headers[0])
    rules = _rules(dates, pseudonyms, pseudonyms.shift_days(*patient))
    made = []
    with config.disable_value_validation():  # its warnings would quote what is to be removed
        for header in headers:
            copy = deepcopy(header)
            _clean(copy, rules)
            copy.PatientName = copy.PatientID = pseudonyms.name(*patient)
            _mark(copy, dates)
            made.append(copy)
    return tuple(made)


def _clean(dataset: Dataset, rules: Mapping[tuple[int, ...], Rule]) -> None:
    _drop_unreadable(dataset)
    held = [*dataset.keys(), *getattr(dataset, "file_meta", Dataset()).keys()]
    plain = [tag for tag in ((t.group, t.element) for t in held) if tag in rules]
    repeating = [tag for tag in rules if len(tag) == 4 and any(_matches(t, tag) for t in held)]
    present = {tag: rules[tag] for tag in (*plain, *repeating)}
    profile.anonymize_dataset(dataset, base_rules_gen=lambda: present)
    for element in dataset:
        for item in element.value if element.VR == "SQ" else ():
            _clean(item, rules)


def _drop_unreadable(dataset: Dataset) -> None:
    """What cannot be read cannot be cleaned."""
    for tag in list(dataset.keys()):
        try:
            dataset[tag]
        except (ValueError, TypeError, NotImplementedError, OverflowError):
            del dataset[tag]


def _matches(tag: BaseTag, repeating: tuple[int, ...]) -> bool:
    """Whether a tag belongs to a repeating group: group, element, and the bits that count."""
    group, element, group_bits, element_bits = repeating
    return (tag.group ^ group) & group_bits == 0 and (tag.element ^ element) & element_bits == 0


def _rules(dates: str, pseudonyms: Pseudonyms, days: int) -> dict[tuple[int, ...], Rule]:
    return {tag: _rule(tag, action, dates, pseudonyms, days) for tag, action in _table().items()}


@cache
def _table() -> Mapping[tuple[int, ...], Rule]:
    table: dict[tuple[int, ...], Rule] = profile.initialize_actions(f"dicomfields_{EDITION}")
    return table


def _rule(
    tag: tuple[int, ...], action: Rule, dates: str, pseudonyms: Pseudonyms, days: int
) -> Rule:
    """The rule of the library, or a stricter one of ours."""
    vr = _value_representation(tag)
    if vr in _DATES_AND_TIMES and tag[0] != _ABOUT_THE_PATIENT and dates != "remove":
        return _keep if dates == "keep" or vr == "TM" else _shift_by(days)
    if action is profile.delete or vr == "SQ":
        return _delete
    if vr == "UI":
        return _replace_uid_with(pseudonyms)
    return _empty_or(action if action is profile.replace else None)


def _value_representation(tag: tuple[int, ...]) -> str:
    try:
        return dictionary_VR((tag[0], tag[1])) if len(tag) == 2 else ""
    except KeyError:  # newer than the dictionary
        return ""


def _keep(dataset: Dataset, tag: tuple[int, int]) -> None:
    """Nothing to do."""


def _delete(dataset: Dataset, tag: tuple[int, int]) -> None:
    if tag in dataset:
        del dataset[tag]


def _shift_by(days: int) -> Rule:
    def shift(dataset: Dataset, tag: tuple[int, int]) -> None:
        element = dataset[tag]
        several = element.value if isinstance(element.value, MultiValue) else [element.value]
        element.value = [shifted(str(one or ""), days) for one in several]

    return shift


def _replace_uid_with(pseudonyms: Pseudonyms) -> Rule:
    def replace(dataset: Dataset, tag: tuple[int, int]) -> None:
        element = dataset[tag]
        several = element.value if isinstance(element.value, MultiValue) else [element.value]
        element.value = [pseudonyms.uid(str(one)) if one else "" for one in several]

    return replace


def _empty_or(dummy: Rule | None) -> Rule:
    """Empty the attribute, or give it the dummy of the library where it may not be empty."""

    def clean(dataset: Dataset, tag: tuple[int, int]) -> None:
        if dummy is None or dataset[tag].VR in _DATES_AND_TIMES:
            dataset[tag].value = None
            return
        try:
            dummy(dataset, tag)
        except NotImplementedError:  # no dummy for such values
            del dataset[tag]

    return clean


def _mark(header: Dataset, dates: str) -> None:
    """Say in the header what was done (PS3.15 E.1.1, step 6)."""
    header.PatientIdentityRemoved = "YES"
    header.DeidentificationMethod = [
        f"DICOM PS3.15 {EDITION} Basic Application Confidentiality Profile",
        f"dicom-anonymizer {_library_version()}",
    ]
    used = (codes.DCM.BasicApplicationConfidentialityProfile, *_OPTIONS[dates])
    header.DeidentificationMethodCodeSequence = [_item(code) for code in used]
    header.LongitudinalTemporalInformationModified = _MODIFIED[dates]


@cache
def _library_version() -> str:
    return version("dicom-anonymizer")


def _item(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = code.value, code.scheme_designator
    item.CodeMeaning = code.meaning
    return item
