"""How scanners differ: profiles as data, what lies between them, and how one examination differs from the next.

Nothing here is a manufacturer's specification. "Like" in a name says which real images gave the order of magnitude of
the grey level and the speckle size (measured on CAMUS for the first; on one or two loops or stills for the others).
The fields marked "fitted" were set so that generated images reach those figures; the others are assumptions unless a
source stands beside them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

Singles = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Profile:
    """One scanner with its usual preset.

    Parameters
    ----------
    frequency_mhz : float
        Receive centre frequency (harmonic).
    bandwidth : float
        Fractional, at -6 dB.
    aperture_mm : float
        Width of the active aperture.
    beam_factor : float
        Two-way beam width (full width at half maximum of the amplitude) over wavelength / aperture.
    smoothing_mm : float
        Axial smoothing after log compression, full width at half maximum of a Gaussian.
    dynamic_range_db : float
        From black to white.
    level : float
        Where on the display, 0 to 1, a mean intensity of 0 dB comes to lie before the grey map.
    gamma, s_curve : float
        Grey map: y -> y^gamma, then a blend with 3y^2 - 2y^3 of weight `s_curve`.
    reduction : float
        Weight, 0 to 1, of a median of 1.5 mm x 1.2 degrees (speckle reduction).
    half_angle_deg : float
        Of the sector.
    depth_mm : float
        Depth of the window, which is also the height and the width of the picture (assumption: 14 cm; CAMUS and EPIQ
        pixels of 0.31 and 0.26 mm give the direction of the difference).
    tgc_slope_db : float
        What the time gain compensation leaves, dB per 50 mm.
    noise_db : float
        Electronic noise against the myocardium at 75 mm.
    clutter_db : float
        Reverberation haze at the probe against the myocardium; falls by 8 dB per 50 mm.
    """

    frequency_mhz: float
    bandwidth: float
    aperture_mm: float
    beam_factor: float
    smoothing_mm: float
    dynamic_range_db: float
    level: float
    gamma: float
    s_curve: float
    reduction: float
    half_angle_deg: float
    depth_mm: float
    tgc_slope_db: float
    noise_db: float
    clutter_db: float


PROFILES: dict[str, Profile] = {
    # Target: CAMUS (GE Vivid E95): grey 104 in the myocardium, speckle 1.56 x 1.97 mm.
    "GE-like": Profile(
        frequency_mhz=3.4,  # 1.7 MHz harmonic
        bandwidth=0.35,  # fitted
        aperture_mm=19.0,
        beam_factor=1.04,  # fitted
        smoothing_mm=1.1,  # fitted
        dynamic_range_db=42.0,  # fitted to the spread inside an image (CAMUS 37.8 +- 8.5)
        level=0.464,  # fitted
        gamma=1.0,
        s_curve=0.15,
        reduction=0.0,
        half_angle_deg=38.0,
        depth_mm=142.0,
        tgc_slope_db=1.0,
        noise_db=-52.0,
        clutter_db=-6.0,
    ),
    # Target: grey 81, speckle 0.85 x 1.7 mm (an EPIQ 7C still and two HP loops).
    "Philips-like": Profile(
        frequency_mhz=2.9,  # 2.6 on an EPIQ screen (1.3/2.6 MHz) to 3.2
        bandwidth=0.75,  # fitted
        aperture_mm=20.0,
        beam_factor=0.84,  # fitted
        smoothing_mm=0.1,  # fitted
        dynamic_range_db=50.0,  # EPIQ "C 50"
        level=0.416,  # fitted
        gamma=1.1,
        s_curve=0.35,
        reduction=0.35,
        half_angle_deg=44.0,
        depth_mm=138.0,
        tgc_slope_db=-1.2,
        noise_db=-56.0,
        clutter_db=-10.0,
    ),
    # Target: speckle 2.0 x 4.2 mm, grey 64 (two loops of a Xario); "T4.4, DR 50" on its screen.
    "Toshiba-like": Profile(
        frequency_mhz=4.4,
        bandwidth=0.4,  # fitted
        aperture_mm=16.0,
        beam_factor=3.4,  # fitted
        smoothing_mm=2.1,  # fitted
        dynamic_range_db=50.0,
        level=0.33,  # fitted
        gamma=1.05,
        s_curve=0.2,
        reduction=0.0,
        half_angle_deg=42.0,
        depth_mm=140.0,
        tgc_slope_db=0.3,
        noise_db=-50.0,
        clutter_db=-6.0,
    ),
}
FIRST, SECOND, THIRD = PROFILES

RANGES: dict[str, tuple[float, float]] = {
    # Wider than what lies between the named profiles, on both sides (assumption).
    "frequency_mhz": (2.2, 4.8),
    "bandwidth": (0.3, 0.85),
    "aperture_mm": (15.0, 23.0),
    "beam_factor": (0.7, 3.6),
    "smoothing_mm": (0.05, 2.3),
    "dynamic_range_db": (38.0, 65.0),
    "level": (0.30, 0.52),
    "gamma": (0.85, 1.25),
    "s_curve": (0.0, 0.5),
    "reduction": (0.0, 0.5),
    "half_angle_deg": (34.0, 46.0),
    "depth_mm": (138.0, 156.0),
    "tgc_slope_db": (-2.0, 2.0),
    "noise_db": (-60.0, -46.0),
    "clutter_db": (-16.0, -3.0),
}
"""Where the scanners of the virtual stream are drawn, uniformly."""

NOMINAL_ATTENUATION_DB_CM_MHZ = 0.55
"""What every scanner compensates for."""
REACH_MM, HALF_ANGLE_DEG = 156.0, 45.0
"""Sector that holds those of all named profiles; virtual scanners have one of their own."""
VIRTUAL_REACH_MM, VIRTUAL_HALF_ANGLE_DEG = 168.0, 46.5

GAIN_SD_DB = 4.0
DYNAMIC_RANGE_JITTER_DB = 4.0
TGC_SD_DB = 0.6
DEPTH_STEPS_MM = (-10.0, 0.0, 10.0)
"""Windows are set in steps of 1 cm; the next shallower and deeper ones are as common as the usual one (assumption)."""
DROPOUT_SD_DB = 4.0
DROPOUT_SCALE_MM = 25.0


def between(effect: float, name: str) -> Profile:
    """The named profile, moved towards the mean of the first two.

    Parameters
    ----------
    effect : float in [0, 1]
        1: the profile as in the table; 0: the mean of the GE-like and the Philips-like one, for every name.
    name : str
        A key of `PROFILES`.
    """
    own, first, second = PROFILES[name], PROFILES[FIRST], PROFILES[SECOND]
    values = {}
    for field in fields(Profile):
        middle = (getattr(first, field.name) + getattr(second, field.name)) / 2
        values[field.name] = middle + effect * (getattr(own, field.name) - middle)
    return Profile(**values)


def random_profile(rng: np.random.Generator) -> Profile:
    """A scanner that nobody makes, each field uniform in `RANGES`."""
    return Profile(**{name: float(rng.uniform(low, high)) for name, (low, high) in RANGES.items()})


@dataclass(frozen=True)
class Exam:
    """How one examination departs from the scanner's usual preset (sizes are assumptions).

    Parameters
    ----------
    gain_db, dynamic_range_db, tgc_slope_db, depth_mm : float
        Added to those of the profile.
    dropout : float32 (a, b)
        White noise behind the regional loss of signal (ribs, poor contact).
    """

    gain_db: float
    dynamic_range_db: float
    tgc_slope_db: float
    depth_mm: float
    dropout: Singles

    def applied(self, profile: Profile) -> Profile:
        """The profile as used in this examination (the gain apart)."""
        return replace(
            profile,
            dynamic_range_db=profile.dynamic_range_db + self.dynamic_range_db,
            tgc_slope_db=profile.tgc_slope_db + self.tgc_slope_db,
            depth_mm=profile.depth_mm + self.depth_mm,
        )


DROPOUT_NODES = (24, 24)


def draw_exam(rng: np.random.Generator) -> Exam:
    """Gain sd 4 dB, dynamic range +-4 dB, TGC slope sd 0.6 dB per 50 mm, depth +-1 cm, drop-out."""
    return Exam(
        gain_db=GAIN_SD_DB * float(rng.standard_normal()),
        dynamic_range_db=float(rng.uniform(-DYNAMIC_RANGE_JITTER_DB, DYNAMIC_RANGE_JITTER_DB)),
        tgc_slope_db=TGC_SD_DB * float(rng.standard_normal()),
        depth_mm=float(rng.choice(DEPTH_STEPS_MM)),
        dropout=rng.standard_normal(DROPOUT_NODES, dtype=np.float32),
    )
