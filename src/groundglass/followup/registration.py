"""Two scans of one chest laid on each other: affine by the lungs, then B-spline by their gray."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK

from groundglass.findings import Findings
from groundglass.followup.lung_image import FARTHEST_MM, GRID_MM, LungImage, has_gray, lung_image

sitk: Any = SimpleITK  # its functions carry no types

KNOTS_MM = 45.0
"""Distance between the knots of the B-spline: breathing is smooth, disease is not to be undone."""

SAMPLED = 0.06
"""Share of the voxels that the metric looks at, the same ones on every run."""

AFFINE_STEPS, SPLINE_STEPS = 40, 15
SEED = 1


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """How a later scan lies on an earlier one.

    Attributes:
        transform: ITK transform from points of the earlier scan to those of the later one, LPS
            millimeters.
        method: What was done, in words.
        surface_mm: Mean distance between the surfaces of the lungs, both ways: ``as scanned``,
            ``affine`` and, where one was accepted, ``B-spline``.
        folded_percent: Share of the earlier lungs in which the B-spline folds space.
    """

    transform: Any
    method: str
    surface_mm: dict[str, float]
    folded_percent: float

    @property
    def error_mm(self) -> float:
        """Mean distance between the surfaces of the lungs after registration."""
        return list(self.surface_mm.values())[-1]


def register(earlier: Findings, later: Findings) -> Registration:
    """Lay a later scan of a chest on an earlier one.

    The affine part brings the lungs' shapes together, whatever their gray. The B-spline follows
    what is inside: vessels and fissures where both scans have Hounsfield units, else the shape
    alone. Lesions are painted over before, so that disease that came or went pulls at nothing. A
    B-spline that folds the lungs or brings their surfaces no closer is left out.

    Args:
        earlier: The scan that stays where it is; a CT volume.
        later: The scan that is moved; a CT volume.
    """
    with_gray = has_gray(earlier) and has_gray(later)
    fixed, moving = (lung_image(one, with_gray=with_gray) for one in (earlier, later))
    start = sitk.Transform(3, sitk.sitkIdentity)
    affine = _affine(fixed, moving)
    spline = _spline(fixed, moving, affine)
    surface = {
        "as scanned": surface_distance_mm(fixed, moving, start),
        "affine": surface_distance_mm(fixed, moving, affine),
    }
    folded = folded_percent(spline, fixed)
    by_spline = surface_distance_mm(fixed, moving, spline)
    what = "lung gray" if with_gray else "shape of the lungs alone"
    if folded > 0 or by_spline > surface["affine"]:
        why = "folded the lungs" if folded > 0 else "brought the lungs no closer"
        return Registration(
            affine,
            f"affine by the lungs; the B-spline by {what} {why} and was left out",
            surface,
            0.0,
        )
    surface["B-spline"] = by_spline
    return Registration(
        spline, f"affine by the lungs, then B-spline by {what}, at {GRID_MM:g} mm", surface, folded
    )


def _affine(fixed: LungImage, moving: LungImage) -> Any:
    """Affine transform by the signed distances to the lungs."""
    start = sitk.AffineTransform(3)
    start.SetCenter(fixed.center_mm.tolist())
    start.SetMatrix(np.diag(moving.spread_mm / fixed.spread_mm).ravel().tolist())
    start.SetTranslation((moving.center_mm - fixed.center_mm).tolist())
    method = _method(fixed)
    method.SetInitialTransform(start, inPlace=True)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=1.0, minStep=1e-3, numberOfIterations=AFFINE_STEPS, relaxationFactor=0.6
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([2, 1])
    method.SetSmoothingSigmasPerLevel([1, 0])
    method.Execute(fixed.distance, moving.distance)
    return sitk.AffineTransform(start)


def _spline(fixed: LungImage, moving: LungImage, affine: Any) -> Any:
    """The affine transform followed by a B-spline on the earlier scan's grid."""
    size_mm = np.array(fixed.inside.GetSize()) * fixed.inside.GetSpacing()
    mesh = [max(2, round(mm / KNOTS_MM)) for mm in size_mm]
    spline = sitk.BSplineTransformInitializer(fixed.inside, mesh, 3)
    method = _method(fixed)
    method.SetMovingInitialTransform(affine)
    method.SetInitialTransform(spline, inPlace=True)
    method.SetOptimizerAsLBFGSB(
        gradientConvergenceTolerance=1e-5,
        numberOfIterations=SPLINE_STEPS,
        maximumNumberOfFunctionEvaluations=SPLINE_STEPS + 5,
    )
    method.SetShrinkFactorsPerLevel([1])
    method.SetSmoothingSigmasPerLevel([0])
    method.Execute(fixed.inside, moving.inside)
    return sitk.CompositeTransform([affine, spline])


def _method(fixed: LungImage) -> Any:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMeanSquares()
    method.SetMetricFixedMask(fixed.distance < FARTHEST_MM / 2)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(SAMPLED, SEED)
    method.SetInterpolator(sitk.sitkLinear)
    return method


def surface_distance_mm(fixed: LungImage, moving: LungImage, transform: Any) -> float:
    """Mean distance between the surfaces of the lungs in mm, both ways.

    Where one surface passes through a voxel of the earlier scan's grid, the signed distances to
    both are compared, which is exact to a fraction of the voxel.
    """
    moved = sitk.Resample(moving.distance, fixed.distance, transform, sitk.sitkLinear, FARTHEST_MM)
    ours, theirs = (sitk.GetArrayViewFromImage(one) for one in (fixed.distance, moved))
    gaps = np.abs(theirs - ours)
    on_ours, on_theirs = (np.abs(one) < GRID_MM / 2 for one in (ours, theirs))
    return round(float(np.concatenate([gaps[on_ours], gaps[on_theirs]]).mean()), 2)


def folded_percent(transform: Any, fixed: LungImage) -> float:
    """Share of the earlier lungs, in per cent, in which a transform folds space."""
    field = sitk.TransformToDisplacementField(
        transform,
        sitk.sitkVectorFloat64,
        fixed.distance.GetSize(),
        fixed.distance.GetOrigin(),
        fixed.distance.GetSpacing(),
        fixed.distance.GetDirection(),
    )
    determinant = sitk.GetArrayViewFromImage(sitk.DisplacementFieldJacobianDeterminant(field))
    inside = sitk.GetArrayViewFromImage(fixed.distance) <= 0
    return round(100.0 * float((determinant[inside] <= 0).mean()), 3)
