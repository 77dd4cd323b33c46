"""The parasternal long-axis view: which structure lies at a point of the picture.

Picture coordinates are millimetres: `x` to the right (the base of the heart), `z` away from the probe, which sits at
(0, 0). Heart coordinates: `u` along the LV's long axis (base positive, 0 at the measurement line), `v` across it
(posterior positive). The shapes are assumptions (ellipses, bands and lines); only the thicknesses at u = 0 are those of
the anatomy.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt

from harmbench_builtin.datasets.plax_phantom.anatomy import Anatomy

Coordinates = npt.NDArray[np.float32]


class Structure(IntEnum):
    """The labels of the map."""

    CHEST = 0
    RV_WALL = 1
    RV = 2
    SEPTUM = 3
    LV = 4
    POSTERIOR_WALL = 5
    APEX_WALL = 6
    PERICARDIUM = 7
    AORTIC_WALL = 8
    AORTA = 9
    ATRIUM = 10
    ATRIAL_WALL = 11
    VALVE = 12
    BEHIND = 13


MYOCARDIUM = (Structure.SEPTUM, Structure.POSTERIOR_WALL)
"""What the mask holds; the wall towards the apex is seen obliquely, and readers leave it out sooner or later."""

DEEPEST_MM = 127.0
"""The pericardium on the measurement line lies no deeper, as if the window had been chosen to fit (assumption)."""
_RV_WALL_MM = 4.0
_PERICARDIUM_MM = 2.2
_AORTIC_WALL_MM = 2.4
_VALVE_MM = 1.1  # half thickness


def _wave(u: Coordinates, waves: tuple[tuple[float, float, float], ...]) -> Coordinates:
    total = np.zeros_like(u)
    for amplitude, length, phase in waves:
        k = np.float32(2 * np.pi / length)
        total += np.float32(amplitude) * (np.sin(k * u + np.float32(phase)) - np.float32(np.sin(phase)))
    return total


def _near_segment(
    u: Coordinates, v: Coordinates, start: tuple[float, float], end: tuple[float, float], half: float
) -> npt.NDArray[np.bool_]:
    du, dv = end[0] - start[0], end[1] - start[1]
    along = np.clip(((u - start[0]) * du + (v - start[1]) * dv) / (du * du + dv * dv), 0, 1)
    return (u - start[0] - along * du) ** 2 + (v - start[1] - along * dv) ** 2 < half * half


def label_map(anatomy: Anatomy, x: Coordinates, z: Coordinates) -> npt.NDArray[np.uint8]:
    """The structure at each point.

    Parameters
    ----------
    anatomy : Anatomy
    x, z : float32 arrays of one shape
        Picture coordinates, mm.

    Returns
    -------
    uint8 array of the same shape
        Values of `Structure`.
    """
    a = anatomy
    radius = a.lvidd_mm / 2
    septum_top = a.chest_mm + _RV_WALL_MM + a.rv_mm
    too_deep = max(0.0, septum_top + a.ivs_mm + a.lvidd_mm + a.lvpw_mm - DEEPEST_MM)
    chest = max(a.chest_mm - too_deep / 2, 6.0)
    septum_top = max(septum_top - too_deep, chest + _RV_WALL_MM)
    tilt = np.deg2rad(a.tilt_deg)
    dx, dz = x - np.float32(a.shift_mm), z - np.float32(septum_top + a.ivs_mm + radius)
    # A positive tilt lowers the apex (the left end).
    u = np.float32(np.cos(tilt)) * dx - np.float32(np.sin(tilt)) * dz
    v = np.float32(np.sin(tilt)) * dx + np.float32(np.cos(tilt)) * dz
    v = v - np.where(v < 0, _wave(u, a.waves[0]), _wave(u, a.waves[1]))

    def cavity(at: Coordinates) -> Coordinates:
        """Half height of the cavity: a half ellipse towards the apex, a blunter one towards the base."""
        length = np.where(at < 0, a.apex_mm, 2.4 * a.base_mm).astype(np.float32)
        return np.float32(radius) * np.sqrt(np.clip(1 - (at / length) ** 2, 0, 1))

    def bulge(at: Coordinates) -> Coordinates:
        # exp(-(at - c)^2 / 2w^2) over its value at 0, so that the thickness at 0 is the septum's; flat beyond the apex
        exponent = (a.bulge_at_mm**2 - (at - a.bulge_at_mm) ** 2) / (2 * a.bulge_width_mm**2)
        return np.float32(1 - a.bulge) + np.float32(a.bulge) * np.exp(exponent)

    cap = 8.0
    closing = np.sqrt(np.clip(1 - (np.minimum(u + a.apex_mm, 0) / cap) ** 2, 0, 1))
    septum = a.ivs_mm * bulge(u) * closing
    wall = a.lvpw_mm * (0.75 + 0.25 * np.exp(-(u**2) / (2 * 35.0**2))) * closing
    inner = cavity(u)
    top, bottom = -(inner + septum), inner + wall

    base = np.asarray(a.base_mm, np.float32)
    base_inner = float(cavity(base))
    base_septum = float(a.ivs_mm * bulge(base))
    beyond = np.maximum(u - a.base_mm, 0)
    # Ends in the outer half of the septum: the aortic wall continues its right side.
    aorta_top = -(base_inner + 0.75 * base_septum) - 0.10 * beyond
    sinus = 3.0 * np.exp(-(((beyond - 12.0) / 8.0) ** 2))
    aorta_bottom = aorta_top + 2 * _AORTIC_WALL_MM + a.aorta_mm + sinus
    atrium_bottom = base_inner + 0.8 * a.lvpw_mm + 7.0 * (1 - np.exp(-beyond / 9.0))
    at_base = u > a.base_mm
    top = np.where(at_base, aorta_top, top)
    bottom = np.where(at_base, np.maximum(atrium_bottom + 2.0, aorta_bottom), bottom)

    labels = np.full(x.shape, Structure.BEHIND, np.uint8)
    surface = chest + 0.0025 * dx**2
    above = v < top
    labels[above] = Structure.RV
    labels[above & (z < surface + _RV_WALL_MM)] = Structure.RV_WALL
    labels[above & (z < surface)] = Structure.CHEST
    behind_apex = u < -(a.apex_mm + cap)
    labels[behind_apex & (z < surface + 25)] = Structure.CHEST
    labels[(v >= bottom) & (v < bottom + _PERICARDIUM_MM) & ~behind_apex] = Structure.PERICARDIUM

    heart = (v >= top) & (v < bottom) & ~behind_apex
    ventricle = heart & ~at_base
    labels[ventricle & (v < 0)] = Structure.SEPTUM
    labels[ventricle & (v >= 0)] = Structure.POSTERIOR_WALL
    labels[ventricle & (u < -a.traced * a.apex_mm)] = Structure.APEX_WALL
    # Towards the aortic root the septum thins to its right side, where the outflow tract opens.
    opening = np.clip((u - a.base_mm) / 9.0 + 1, 0, 1)
    outflow = (0.75 * a.ivs_mm - _AORTIC_WALL_MM) * opening**2
    labels[ventricle & (v < inner) & (v > -inner - outflow)] = Structure.LV

    root = heart & at_base
    labels[root] = Structure.ATRIAL_WALL
    labels[root & (v < atrium_bottom)] = Structure.ATRIUM
    labels[root & (v < aorta_bottom)] = Structure.AORTIC_WALL
    labels[root & (v > aorta_top + _AORTIC_WALL_MM) & (v < aorta_bottom - _AORTIC_WALL_MM)] = Structure.AORTA

    # Closed mitral leaflets, meeting in the cavity, and the closed aortic cusps: lines of 2.2 mm.
    hinge = float(-(base_inner + 0.75 * base_septum) + 1.5 * _AORTIC_WALL_MM + a.aorta_mm)
    tip = (a.base_mm - 13.0, hinge + 0.55 * (base_inner - hinge))
    blood = (labels == Structure.LV) | (labels == Structure.ATRIUM)
    anterior = _near_segment(u, v, (a.base_mm, hinge), tip, _VALVE_MM)
    posterior = _near_segment(u, v, (a.base_mm, base_inner), tip, _VALVE_MM)
    labels[blood & (anterior | posterior)] = Structure.VALVE
    middle = (hinge - 0.5 * _AORTIC_WALL_MM) - a.aorta_mm / 2
    cusps = _near_segment(u, v, (a.base_mm + 3.0, middle), (a.base_mm + 14.0, middle), 0.7 * _VALVE_MM)
    labels[cusps & (labels == Structure.AORTA)] = Structure.VALVE
    # The descending aorta behind the atrium.
    descending = (u - a.base_mm - 6.0) ** 2 + (v - float(base_inner + 0.8 * a.lvpw_mm) - 19.0) ** 2 < 10.5**2
    labels[descending & (labels == Structure.BEHIND)] = Structure.AORTA
    return labels


def is_myocardium(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Where the LV's myocardium is (septum and posterior wall)."""
    return (labels == Structure.SEPTUM) | (labels == Structure.POSTERIOR_WALL)
