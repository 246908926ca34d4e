"""Codes mean what we say they mean, by the dictionary of pydicom (DICOM PS3.16)."""

import re

import pytest
from pydicom.sr._concepts_dict import concepts

from groundglass.labels import Label, Lesion, Lobe, Lung, Region
from groundglass.write.dicom_segments import SCHEME, category, coded
from groundglass.write.dicom_sr import _PUBLIC_CODES

LABELS = [label for kind in (Lung, Lobe, Lesion) for label in kind]

ELSEWHERE = {
    "3341006": "HL7 C-CDA for imaging reports; RadLex RID1302",
    "44029006": "HL7 mCODE and GenomeX examples; RadLex RID1326",
    "42400003": "RadLex RID1303; FHIR profiles of lung nodules and of body composition",
    "266005": "RadLex RID1315; FHIR profile of body composition",
    "41224006": "HL7 mCODE examples; RadLex RID1338; FHIR profile of body composition",
    "95436008": "OMOP concept 4318404, an ancestor of pneumonia; FHIR mappings of chest findings",
}
"""SNOMED CT codes that pydicom does not know, each with the public sources that were compared."""

_FILLING = {"structure", "of", "the", "body", "lung"}


def meanings(code, scheme):
    """Every meaning that pydicom's dictionary gives a code."""
    return [known[code][0] for known in concepts[scheme].values() if code in known]


def words(meaning):
    return set(re.findall(r"[a-z]+", meaning.lower())) - _FILLING


@pytest.mark.parametrize("label", LABELS, ids=lambda label: label.title)
def test_a_code_means_what_its_label_says(label):
    value, scheme, meaning = label.code
    known = meanings(value, scheme)
    if value in ELSEWHERE:
        assert not known, "pydicom has learned this code: take it from the table above"
        return
    assert any(words(meaning) == words(other) for other in known), known


def test_each_side_and_each_lobe_has_its_own_code():
    codes = [label.code[:2] for label in LABELS]
    assert len(set(codes)) == len(codes)
    for label in (*Lung, *Lobe):
        side = label.title.split()[0]
        assert side in words(label.code[2])
        assert ({"right", "left"} - {side}).isdisjoint(words(label.code[2]))
    for lobe in Lobe:
        assert lobe.title.split()[1] in words(lobe.code[2])


def test_public_codes_of_scores_and_categories_are_known():
    for code in (*_PUBLIC_CODES.values(), category(Lung.LEFT), category(Lesion.CONSOLIDATION)):
        assert code.meaning in meanings(code.value, code.scheme_designator)


def test_what_has_no_public_code_is_ours():
    without = [label for kind in Label.__subclasses__() for label in kind if label.code is None]
    assert set(without) == set(Region)
    assert {coded(label).scheme_designator for label in without} == {SCHEME}
