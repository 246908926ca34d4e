"""What a source header says of its de-identification, which results of it say as well."""

from pydicom import Dataset
from pydicom.multival import MultiValue

IDENTITY_REMOVED = "PatientIdentityRemoved"
_METHODS, _CODES = "DeidentificationMethod", "DeidentificationMethodCodeSequence"
_DATES = "LongitudinalTemporalInformationModified"

KEYWORDS = (IDENTITY_REMOVED, _METHODS, _CODES, _DATES)
"""Attributes of the Patient and SOP Common modules (PS3.3 C.7.1.1, C.12.1)."""

_OF_A_CODE = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")


def deidentification_of(header: Dataset) -> Dataset:
    """The attributes of ``KEYWORDS`` where the identity was removed and it is said how.

    Empty where the header says nothing or says it in another way than the standard wants.
    """
    kept = Dataset()
    if header.get(IDENTITY_REMOVED) != "YES":
        return kept
    found = header.get(_METHODS) or []
    methods = [m for m in (found if isinstance(found, MultiValue) else [found]) if len(m) <= 64]
    used = [_code(item) for item in header.get(_CODES) or []]
    used = [item for item in used if len(item) == len(_OF_A_CODE)]
    if not methods and not used:
        return kept
    kept.PatientIdentityRemoved = "YES"
    if methods:
        kept.DeidentificationMethod = methods
    if used:
        kept.DeidentificationMethodCodeSequence = used
    if header.get(_DATES) in ("REMOVED", "MODIFIED", "UNMODIFIED"):
        kept.LongitudinalTemporalInformationModified = header[_DATES].value
    return kept


def _code(item: Dataset) -> Dataset:
    made = Dataset()
    for keyword in _OF_A_CODE:
        if item.get(keyword):
            setattr(made, keyword, item[keyword].value)
    return made
