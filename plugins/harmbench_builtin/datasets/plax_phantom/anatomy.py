"""Wall thicknesses and cavity sizes of one heart at end-diastole, in mm.

Sources are cited where a number stands; "assumption" marks those without one. Two published sets do not fit together:
Yu et al. 2021 (doi 10.21037/atm-20-4891, n = 50/50) give a septum (IVS) of 19.9 +- 4.1 mm in HCM, while Table 2 of
PMC3849957 gives a posterior wall (LVPW) of 11.3 +- 2.3 mm with IVS/LVPW 1.38. The septum of the first and the wall of
the second are kept, so the mean ratio comes out near 1.8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Diagnosis = Literal["HHD", "HCM"]
CLASSES: tuple[Diagnosis, Diagnosis] = ("HHD", "HCM")


@dataclass(frozen=True)
class Phenotype:
    """How a kind of hypertrophy is distributed.

    Parameters
    ----------
    share : float
        Share of the hearts with the diagnosis.
    ivs_floor, ivs_mean, ivs_sd : float
        Septum, mm. The floor plus a gamma variable: no thinner than the definition allows, with a long right tail
        (Klues 1995, 600 HCM: largest wall 22.3 +- 5, range 15 to 52 mm).
    ratio_mean, ratio_sd : float
        IVS/LVPW where the posterior wall follows the septum; NaN where it does not.
    lvpw_mean, lvpw_sd : float
        LVPW in mm where it is drawn by itself; NaN where it is not.
    bulge : float
        Share of the septum's thickness that belongs to a bulge of the basal septum (assumption).
    """

    share: float
    ivs_floor: float
    ivs_mean: float
    ivs_sd: float
    bulge: float
    ratio_mean: float = float("nan")
    ratio_sd: float = float("nan")
    lvpw_mean: float = float("nan")
    lvpw_sd: float = float("nan")


@dataclass(frozen=True)
class AnatomyTable:
    """The phenotypes of a diagnosis and its cavity.

    Parameters
    ----------
    phenotypes : tuple of Phenotype
    lvidd_mean, lvidd_sd : float
        Inner diameter of the LV at end-diastole, mm.
    """

    phenotypes: tuple[Phenotype, ...]
    lvidd_mean: float
    lvidd_sd: float


ANATOMY: dict[Diagnosis, AnatomyTable] = {
    # Together IVS 19.9 +- 4.1 (Yu 2021), LVPW 11.3 +- 2.3 (PMC3849957); symmetric in 34 % (Shapiro 1985).
    # The split into two kinds is an assumption, except for its share: the symmetric ones are the thinner ones.
    "HCM": AnatomyTable(
        phenotypes=(
            Phenotype(2 / 3, 14.0, 21.6, 3.7, bulge=0.35, lvpw_mean=10.1, lvpw_sd=1.3),
            Phenotype(1 / 3, 12.0, 16.5, 2.2, bulge=0.12, ratio_mean=1.20, ratio_sd=0.06),
        ),
        lvidd_mean=47.0,  # PMC3849957
        lvidd_sd=8.0,
    ),
    # Together IVS 13.1 +- 0.9 (Yu 2021). Asymmetric in 18 % of hypertensives (Shapiro 1985; Doi 1980: a ratio above 1.3
    # does not prove HCM). Concentric: LVPW = 0.93 IVS with sd 0.06 (assumption).
    "HHD": AnatomyTable(
        phenotypes=(
            Phenotype(0.8, 11.0, 12.83, 0.7, bulge=0.12, ratio_mean=1 / 0.93, ratio_sd=0.06),
            Phenotype(0.2, 12.5, 14.2, 0.8, bulge=0.30, ratio_mean=1.42, ratio_sd=0.08),
        ),
        lvidd_mean=48.0,  # assumption
        lvidd_sd=5.0,
    ),
}

IVS_LIMIT_MM = 34.0
"""Thicker septa would not leave room for the cavity in the view (assumption; 0.3 % of HCM)."""
LVIDD_LIMITS_MM = (30.0, 64.0)
"""Assumption; about two standard deviations, beyond which a heart with thick walls is not seen."""


@dataclass(frozen=True)
class Anatomy:
    """One heart at end-diastole; lengths in mm, angles in degrees.

    Parameters
    ----------
    ivs_mm, lvpw_mm, lvidd_mm : float
        Septum, posterior wall and inner LV diameter on the line through the tips of the mitral leaflets.
    bulge, bulge_at_mm, bulge_width_mm : float
        Share, place along the long axis (base positive) and standard deviation of the septal bulge.
    chest_mm, rv_mm : float
        From the probe to the RV's free wall, and the RV's height.
    aorta_mm : float
        Inner diameter of the aortic root.
    base_mm, apex_mm : float
        From the measurement line to the aortic root, and to the inside of the apex.
    shift_mm, tilt_deg : float
        Where the measurement line crosses the picture, and the long axis against the horizontal.
    traced : float
        Share of the way to the apex that the reader's mask goes. Readers differ in this (assumption); without it the
        mask's area would name the diagnosis (AUC 0.92), and texture features grow with the area.
    waves : tuple of ((float, float, float), ...)
        Amplitude (mm), wave length (mm) and phase of the walls' unevenness, septum first; it moves a wall without
        changing its thickness, and is 0 at the measurement line.
    """

    ivs_mm: float
    lvpw_mm: float
    lvidd_mm: float
    bulge: float
    bulge_at_mm: float
    bulge_width_mm: float
    chest_mm: float
    rv_mm: float
    aorta_mm: float
    base_mm: float
    apex_mm: float
    shift_mm: float
    tilt_deg: float
    traced: float
    waves: tuple[tuple[tuple[float, float, float], ...], ...]


def _limited(rng: np.random.Generator, mean: float, sd: float, low: float, high: float) -> float:
    """A normal variable, drawn again until it lies within the limits."""
    while True:
        value = float(rng.normal(mean, sd))
        if low <= value <= high:
            return value


def _walls(table: AnatomyTable, rng: np.random.Generator) -> tuple[Phenotype, float, float]:
    kind = table.phenotypes[int(rng.choice(len(table.phenotypes), p=[p.share for p in table.phenotypes]))]
    excess = kind.ivs_mean - kind.ivs_floor
    while True:
        ivs = kind.ivs_floor + float(rng.gamma((excess / kind.ivs_sd) ** 2, kind.ivs_sd**2 / excess))
        if ivs <= IVS_LIMIT_MM:
            break
    if np.isnan(kind.ratio_mean):
        return kind, ivs, _limited(rng, kind.lvpw_mean, kind.lvpw_sd, 6.0, 16.0)
    spread = 3 * kind.ratio_sd
    return (
        kind,
        ivs,
        ivs / _limited(rng, kind.ratio_mean, kind.ratio_sd, kind.ratio_mean - spread, kind.ratio_mean + spread),
    )


def draw_anatomy(diagnosis: Diagnosis, effect: float, rng: np.random.Generator) -> Anatomy:
    """Draw a heart.

    Parameters
    ----------
    diagnosis : {"HHD", "HCM"}
    effect : float in [0, 1]
        The walls and the cavity come from the table of the diagnosis with probability (1 + effect) / 2, else from the
        other one: 1 is the published contrast, 0 one distribution for both.
    rng : numpy.random.Generator

    Returns
    -------
    Anatomy
    """
    other: Diagnosis = "HHD" if diagnosis == "HCM" else "HCM"
    # For effect 0 the coin must not know the diagnosis: heads is HCM for both.
    heads = float(rng.random())
    own = heads < (1 + effect) / 2 if diagnosis == "HCM" else heads >= (1 - effect) / 2
    table = ANATOMY[diagnosis if own else other]
    kind, ivs, lvpw = _walls(table, rng)
    waves = tuple(
        tuple(
            (float(rng.normal(0, amplitude)), float(rng.uniform(*lengths)), float(rng.uniform(0, 2 * np.pi)))
            for amplitude, lengths in ((1.2, (60.0, 90.0)), (0.6, (25.0, 45.0)), (0.3, (12.0, 20.0)))
        )
        for _ in range(2)
    )
    # Sizes of what surrounds the LV: adult figures of the usual order (assumption); independent of the diagnosis.
    return Anatomy(
        ivs_mm=ivs,
        lvpw_mm=lvpw,
        lvidd_mm=_limited(rng, table.lvidd_mean, table.lvidd_sd, *LVIDD_LIMITS_MM),
        bulge=float(np.clip(rng.normal(kind.bulge, 0.05), 0.0, 0.5)),
        bulge_at_mm=float(rng.normal(6.0, 6.0)),
        bulge_width_mm=float(rng.uniform(22.0, 34.0)),
        chest_mm=_limited(rng, 17.0, 3.0, 11.0, 24.0),
        rv_mm=_limited(rng, 21.0, 3.5, 13.0, 28.0),
        aorta_mm=_limited(rng, 29.0, 2.5, 23.0, 35.0),
        base_mm=_limited(rng, 31.0, 2.5, 25.0, 37.0),
        apex_mm=_limited(rng, 66.0, 4.0, 56.0, 76.0),
        shift_mm=_limited(rng, 0.0, 4.0, -9.0, 9.0),
        tilt_deg=_limited(rng, 2.0, 5.0, -8.0, 12.0),
        traced=float(rng.uniform(0.35, 0.85)),
        waves=waves,
    )
