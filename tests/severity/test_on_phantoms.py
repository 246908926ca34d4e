"""Scores of whole phantoms whose share of opacity in every lobe and region is known."""

import numpy as np
import pytest

from groundglass.data.phantom import LesionSpec, make_phantom
from groundglass.findings import Findings
from groundglass.labels import Lesion, Lobe, Region
from groundglass.lungs.regions import find_regions
from groundglass.mask import Mask
from groundglass.severity import ct_score_by_lobe, ct_severity_score, total_severity_score

SHAPE = (60, 72, 72)

GRADES = {0.0: (0, 0), 3.0: (1, 1), 15.0: (1, 2), 38.0: (2, 3), 62.0: (3, 4), 88.0: (4, 5)}
"""Percentages well inside a class, with the grade of a lobe for TSS and for the 0-25 score."""

REGION_GRADES = {0.0: 0, 20.0: 1, 80.0: 2}


def opacified(regions, percents):
    """So many per cent of every region, from its top to its bottom."""
    lesions = np.zeros(regions.shape, np.uint8)
    for region, percent in zip(Region, percents, strict=True):
        where = np.flatnonzero(regions == int(region))
        lesions.flat[where[: round(len(where) * percent / 100)]] = Lesion.GROUND_GLASS
    return lesions


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100))
def test_scores_by_lobe_are_exact_with_the_lobes_of_the_phantom(seed):
    drawn = np.random.default_rng([seed, 8]).choice(list(GRADES), size=len(Lobe))
    lesions = [
        LesionSpec(Lesion.GROUND_GLASS, lobe, percent)
        for lobe, percent in zip(Lobe, drawn, strict=True)
        if percent
    ]
    phantom = make_phantom(seed, shape=SHAPE, lesions=lesions)
    found = find_regions(phantom.scan, phantom.lungs, phantom.lobes)
    findings = Findings(phantom.scan, phantom.lungs, phantom.lesions, found.lobes, found.regions)
    total, by_lobe = total_severity_score(findings), ct_score_by_lobe(findings)
    assert list(total.parts.values()) == [GRADES[p][0] for p in drawn]
    assert list(by_lobe.parts.values()) == [GRADES[p][1] for p in drawn]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100))
def test_ct_ss_is_exact_where_every_region_is_opacified_by_a_known_share(seed):
    drawn = np.random.default_rng([seed, 9]).choice(list(REGION_GRADES), size=len(Region))
    phantom = make_phantom(seed, shape=SHAPE, lesions=())
    found = find_regions(phantom.scan, phantom.lungs)
    lesions = Mask.on(phantom.scan, opacified(found.regions.array, drawn), Lesion)
    findings = Findings(phantom.scan, phantom.lungs, lesions, found.lobes, found.regions)
    score = ct_severity_score(findings)
    assert list(score.parts.values()) == [REGION_GRADES[p] for p in drawn]
    assert score.value == sum(REGION_GRADES[p] for p in drawn)
