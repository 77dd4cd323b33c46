"""What the tissue of one heart sends back: scatterers that every scanner shares.

Levels are in dB against the mean of the myocardium. That fibrosis and disarray make the myocardium brighter and less
even is supported in general (reviews of integrated backscatter; Kagiyama 2020, PMC7139137: fibrosis from texture, AUC
0.84); the sizes in dB are assumptions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from harmbench_builtin.datasets.plax_phantom.anatomy import Anatomy, Diagnosis
from harmbench_builtin.datasets.plax_phantom.view import Structure, is_myocardium, label_map

Singles = npt.NDArray[np.float32]

LEVEL_DB: dict[Structure, float] = {
    Structure.SEPTUM: 0.0,
    Structure.POSTERIOR_WALL: 0.0,
    Structure.APEX_WALL: 0.0,
    Structure.LV: -38.0,
    Structure.AORTA: -38.0,
    Structure.ATRIUM: -38.0,
    Structure.RV: -36.0,
    Structure.PERICARDIUM: 9.0,
    # Not in the notes' table; plausible (assumption).
    Structure.CHEST: -2.0,
    Structure.RV_WALL: 4.0,
    Structure.AORTIC_WALL: 4.0,
    Structure.ATRIAL_WALL: 1.0,
    Structure.VALVE: 3.0,
    Structure.BEHIND: -9.0,
}

SCATTERERS_PER_MM2 = 14.0
"""About ten in the smallest resolution cell of the profiles (0.45 x 1.6 mm): enough for fully developed speckle."""
RASTER_MM = 0.5
"""Grid on which levels are drawn before scatterers look them up; below half of the smallest resolution cell."""
CHEST_PATCH_DB = 3.0
"""Unevenness of what is not myocardium (assumption)."""


@dataclass(frozen=True)
class TissueTable:
    """Distribution of the myocardium's properties for one diagnosis."""

    offset_db: float
    heterogeneity_db: float
    correlation_mm: float


TISSUE: dict[Diagnosis, TissueTable] = {
    "HHD": TissueTable(offset_db=0.0, heterogeneity_db=2.0, correlation_mm=2.5),
    "HCM": TissueTable(offset_db=1.5, heterogeneity_db=3.2, correlation_mm=3.5),
}
OFFSET_SD_DB = 1.5
HETEROGENEITY_SD_DB = 0.6
CORRELATION_SD_MM = 0.5  # not in the notes' table; without it the truth would spell out the diagnosis
ATTENUATION_DB_CM_MHZ = (0.55, 0.08)
"""Mean and standard deviation between hearts, one way; the same for both diagnoses."""


@dataclass(frozen=True)
class Tissue:
    """The myocardium of one heart: the truth behind its texture.

    Parameters
    ----------
    offset_db : float
        Mean backscatter against the average heart.
    heterogeneity_db : float
        Standard deviation of the patchy field (log-normal in amplitude).
    correlation_mm : float
        Lag at which the field's autocorrelation has fallen to 1/e.
    attenuation_db_cm_mhz : float
        One way.
    """

    offset_db: float
    heterogeneity_db: float
    correlation_mm: float
    attenuation_db_cm_mhz: float


def draw_tissue(diagnosis: Diagnosis, effect: float, rng: np.random.Generator) -> Tissue:
    """Draw the myocardium of one heart.

    Parameters
    ----------
    diagnosis : {"HHD", "HCM"}
    effect : float
        0: the mean of both tables for either diagnosis; 1: the tables; above 1: farther apart.
    rng : numpy.random.Generator
    """
    own, tables = TISSUE[diagnosis], tuple(TISSUE.values())

    def mean_of(field: str) -> float:
        middle = sum(getattr(t, field) for t in tables) / len(tables)
        return float(middle + effect * (getattr(own, field) - middle))

    offset, spread, length, attenuation = (float(x) for x in rng.standard_normal(4))
    return Tissue(
        offset_db=mean_of("offset_db") + OFFSET_SD_DB * offset,
        heterogeneity_db=max(0.3, mean_of("heterogeneity_db") + HETEROGENEITY_SD_DB * spread),
        correlation_mm=max(0.5, mean_of("correlation_mm") + CORRELATION_SD_MM * length),
        attenuation_db_cm_mhz=max(0.2, ATTENUATION_DB_CM_MHZ[0] + ATTENUATION_DB_CM_MHZ[1] * attenuation),
    )


@dataclass(frozen=True)
class Scatterers:
    """Point scatterers in the plane, in polar coordinates around the probe.

    Parameters
    ----------
    range_mm, angle : float32 (n,)
        Distance, and angle in radians from straight down, positive to the right.
    amplitude : float32 (n,)
        Real, of either sign; variance 1 per scatterer at 0 dB.
    attenuation_db_cm_mhz : float
    """

    range_mm: Singles
    angle: Singles
    amplitude: Singles
    attenuation_db_cm_mhz: float


def _patches(rng: np.random.Generator, shape: tuple[int, int], correlation_mm: float) -> Singles:
    """A Gaussian field of standard deviation 1."""
    # White noise under a Gaussian of sd s has the autocorrelation exp(-d^2 / 4 s^2): 1/e at d = 2 s.
    sigma = correlation_mm / 2 / RASTER_MM
    field = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma, truncate=3.0, mode="wrap")
    return field / field.std()


def draw_scatterers(
    anatomy: Anatomy, tissue: Tissue, reach_mm: float, half_angle: float, rng: np.random.Generator
) -> Scatterers:
    """The scatterers of one heart, uniform in area over a sector.

    Parameters
    ----------
    anatomy : Anatomy
    tissue : Tissue
    reach_mm, half_angle : float
        The sector, mm and radians. It must hold those of all scanners that look at the heart, and be the same for each
        of them, else they would not share their scatterers.
    rng : numpy.random.Generator
    """
    width = reach_mm * np.sin(half_angle)
    x = np.arange(-width, width + RASTER_MM, RASTER_MM, dtype=np.float32)
    z = np.arange(0, reach_mm + RASTER_MM, RASTER_MM, dtype=np.float32)
    shape = (len(z), len(x))
    labels = label_map(anatomy, np.broadcast_to(x, shape), np.broadcast_to(z[:, None], shape))
    level = np.array([LEVEL_DB[s] for s in Structure], np.float32)[labels]
    muscle = is_myocardium(labels) | (labels == Structure.APEX_WALL)
    own = tissue.offset_db + tissue.heterogeneity_db * _patches(rng, shape, tissue.correlation_mm)
    level += np.where(muscle, own, CHEST_PATCH_DB * _patches(rng, shape, 4.0))
    amplitude = np.power(np.float32(10), level / np.float32(20))

    n = int(SCATTERERS_PER_MM2 * half_angle * reach_mm**2)
    r = np.float32(reach_mm) * np.sqrt(rng.random(n, dtype=np.float32))
    angle = np.float32(half_angle) * (2 * rng.random(n, dtype=np.float32) - 1)
    column = ((r * np.sin(angle) + np.float32(width)) / np.float32(RASTER_MM)).astype(np.int32)
    row = (r * np.cos(angle) / np.float32(RASTER_MM)).astype(np.int32)
    strength = amplitude.ravel()[row * len(x) + column]
    return Scatterers(r, angle, strength * rng.standard_normal(n, dtype=np.float32), tissue.attenuation_db_cm_mhz)
