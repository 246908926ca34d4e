"""Vessels and small airways that branch from the hilum and taper towards the pleura."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.data.phantom_anatomy import Inside
from groundglass.data.phantom_canvas import Canvas

Points = NDArray[np.float64]
"""Positions x, y, z in mm, shape (point, 3)."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree of tubes.

    Attributes:
        points: End of every branch, shape (branch, 3); the first is the root at the hilum.
        parents: Number of the point that each branch starts from.
        radii: Radius of each branch in mm at its thin end.
    """

    points: Points
    parents: NDArray[np.int64]
    radii: NDArray[np.float64]

    def paint(self, canvas: Canvas, value: float, *, grow: float = 0.0) -> None:
        """Draw all branches, thickened by ``grow`` mm."""
        for number in range(1, len(self.points)):
            parent = self.parents[number]
            thick = min(self.radii[parent], 1.25 * self.radii[number]) + grow
            canvas.tube(
                self.points[parent], self.points[number], (thick, self.radii[number] + grow), value
            )


def grow_tree(
    root: Points,
    inside: Callable[..., Inside],
    rng: np.random.Generator,
    *,
    ends: int,
    end_radius: float,
) -> Tree:
    """A tree that fills a lung, thick at the hilum, thin at its ends.

    Every end is joined to the nearest branch that does not lead back, nearest ends first; a
    branch is as thick as Murray's law wants for the ends it feeds.

    Args:
        root: Where it enters the lung: x, y, z in mm.
        inside: Whether points (x, y, z) lie in the lung.
        rng: Source of chance.
        ends: Number of ends.
        end_radius: Radius of the ends in mm.
    """
    targets = sample_points(inside, rng, ends, margin=5.0)
    targets = targets[np.argsort(np.linalg.norm(targets - root, axis=1))]
    points = np.vstack([root, targets])
    from_root = np.linalg.norm(points - root, axis=1)
    parents = np.zeros(len(points), np.int64)
    for number in range(1, len(points)):
        reach = np.linalg.norm(points[:number] - points[number], axis=1)
        detour = reach + 0.25 * from_root[:number]
        parents[number] = int(np.argmin(detour))
    fed = np.ones(len(points))
    for number in range(len(points) - 1, 0, -1):
        fed[parents[number]] += fed[number]
    return Tree(points, parents, end_radius * fed ** (1 / 2.7))


def sample_points(
    inside: Callable[..., Inside], rng: np.random.Generator, count: int, *, margin: float
) -> Points:
    """Random points of a region that stay ``margin`` mm away from its surface."""
    found: list[Points] = []
    while sum(len(f) for f in found) < count:
        tries = rng.uniform((-130.0, -90.0, 20.0), (130.0, 100.0, 290.0), size=(8 * count, 3))
        keep = np.ones(len(tries), bool)
        for step in margin * np.vstack([np.zeros(3), np.eye(3), -np.eye(3)]):
            keep &= inside(*(tries + step).T)
        found.append(tries[keep])
    return np.vstack(found)[:count]
