"""shape2D: area, outline and extent of the mask alone."""

from __future__ import annotations

import numpy as np
from scipy.spatial import ConvexHull

from harmbench.data import Bools, Floats
from harmbench_builtin.extractors.fast2d.names import SHAPE_NAMES

# Marching squares. A cell has the pixels top left, top right, bottom right and bottom left as corners (bits 1, 2, 4,
# 8) and sides numbered by their midpoint; an outline runs from side to side with the mask on one hand throughout.
# Where two opposite corners are in the mask, they are kept apart.
_TOP, _RIGHT, _BOTTOM, _LEFT = range(4)
_MIDPOINT = np.array([(0.0, 0.5), (0.5, 1.0), (1.0, 0.5), (0.5, 0.0)])  # (row, column) within the cell
_OUTLINE = {
    1: [(_LEFT, _TOP)],
    2: [(_TOP, _RIGHT)],
    3: [(_LEFT, _RIGHT)],
    4: [(_RIGHT, _BOTTOM)],
    5: [(_LEFT, _TOP), (_RIGHT, _BOTTOM)],
    6: [(_TOP, _BOTTOM)],
    7: [(_LEFT, _BOTTOM)],
    8: [(_BOTTOM, _LEFT)],
    9: [(_BOTTOM, _TOP)],
    10: [(_TOP, _RIGHT), (_BOTTOM, _LEFT)],
    11: [(_BOTTOM, _RIGHT)],
    12: [(_RIGHT, _LEFT)],
    13: [(_RIGHT, _TOP)],
    14: [(_TOP, _LEFT)],
}


def shape2d(mask: Bools, spacing: tuple[float, float]) -> Floats:
    """The 9 shape features of a mask (H, W) with at least one pixel, in the order of `SHAPE_NAMES`.

    MeshSurface A and Perimeter P are those of the outline that marching squares draws through the midpoints between
    pixels inside and outside. PerimeterSurfaceRatio = P / A; Sphericity = 2 sqrt(pi A) / P; PixelSurface = number of
    pixels times a pixel's area; MaximumDiameter = largest distance between two points of the outline.
    MajorAxisLength = 4 sqrt(l1), MinorAxisLength = 4 sqrt(l2), Elongation = sqrt(l2 / l1), with l1 >= l2 the
    eigenvalues of the covariance of the pixel centres. Elongation of one pixel is NaN.

    Parameters
    ----------
    spacing : (float, float)
        Row and column spacing.
    """
    scale = np.asarray(spacing, dtype=np.float64)
    start, end = _outline(mask)
    # Coordinates near 0 keep the sum of signed areas exact.
    origin = start.min(axis=0)
    start, end = (start - origin) * scale, (end - origin) * scale
    area = abs((start[:, 0] * end[:, 1] - start[:, 1] * end[:, 0]).sum()) / 2
    perimeter = np.hypot(*(end - start).T).sum()
    hull = start[ConvexHull(start).vertices]
    diameter = max(np.hypot(*(hull - point).T).max() for point in hull)
    centres = np.argwhere(mask) * scale
    small, large = _eigenvalues(centres - centres.mean(axis=0))
    found = {
        "Elongation": np.sqrt(small / large) if large > 0 else np.nan,
        "MajorAxisLength": 4 * np.sqrt(large),
        "MaximumDiameter": diameter,
        "MeshSurface": area,
        "MinorAxisLength": 4 * np.sqrt(small),
        "Perimeter": perimeter,
        "PerimeterSurfaceRatio": perimeter / area,
        "PixelSurface": len(centres) * scale[0] * scale[1],
        "Sphericity": 2 * np.sqrt(np.pi * area) / perimeter,
    }
    return np.array([found[name] for name in SHAPE_NAMES])


def _outline(mask: Bools) -> tuple[Floats, Floats]:
    """Start and end points (row, column) of the outline's segments, in pixels."""
    m = np.pad(mask, 1).astype(np.int64)
    case = m[:-1, :-1] + 2 * m[:-1, 1:] + 4 * m[1:, 1:] + 8 * m[1:, :-1]
    starts, ends = [], []
    for number, segments in _OUTLINE.items():
        cells = np.argwhere(case == number)
        for first, second in segments:
            starts.append(cells + _MIDPOINT[first])
            ends.append(cells + _MIDPOINT[second])
    return np.concatenate(starts), np.concatenate(ends)


def _eigenvalues(centred: Floats) -> tuple[float, float]:
    """The smaller and the larger eigenvalue of the covariance of points (n, 2) around 0."""
    covariance = centred.T @ centred / len(centred)
    small, large = np.linalg.eigvalsh(covariance)
    # Points on a line have none across it; rounding may leave a little of either sign.
    exact_line = np.linalg.matrix_rank(centred) < 2
    return (0.0 if exact_line else max(float(small), 0.0)), max(float(large), 0.0)
