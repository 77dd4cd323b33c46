"""From scatterers to an 8-bit picture: the chain of a phased-array scanner at baseband.

Polar sampling, a separable Gaussian point spread, envelope, time gain compensation, log compression, smoothing, speckle
reduction, grey map, scan conversion. The model is that of fast convolution simulators (COLE); complex demodulation
allows an axial step of 0.15 mm where radio frequency would need 0.06 mm.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from harmbench_builtin.datasets.plax_phantom.acquisition import (
    DROPOUT_SCALE_MM,
    DROPOUT_SD_DB,
    NOMINAL_ATTENUATION_DB_CM_MHZ,
    Exam,
    Profile,
)
from harmbench_builtin.datasets.plax_phantom.tissue import SCATTERERS_PER_MM2, Scatterers

Singles = npt.NDArray[np.float32]

SOUND_MM_PER_US = 1.54
AXIAL_STEP_MM = 0.15
BEAM_STEP = np.deg2rad(0.4)
"""A third or less of every profile's beam width."""
DISPLAY_STEP = 2
"""Axial samples per displayed one: 0.3 mm, as fine as real scanners' pixels (0.26 to 0.31 mm)."""
NEAR_MM = 2.0
REFERENCE_MM = 75.0
"""Depth at which the operator sets the gain: the middle of the LV."""
CLUTTER_FALL_DB_PER_MM = 8.0 / 50.0
FWHM = 2 * np.sqrt(2 * np.log(2))
"""Full width at half maximum over standard deviation of a Gaussian."""


@dataclass(frozen=True)
class Geometry:
    """Everything of a profile and a picture size that no heart changes.

    Parameters
    ----------
    range_mm : float32 (R,)
    beams : int
    half_angle : float
        Radians, of the sampled sector (a margin wider than the one displayed).
    spacing_mm : float
        Of the square pixels.
    x, z : float32 (size, size)
        Picture coordinates of the pixels' centres, mm.
    sector : bool (size, size)
    corner : int64 (n,)
        For the pixels inside the sector: flat index of the upper left polar sample.
    down, right : float32 (n,)
        Bilinear weights.
    axial_basis, beam_basis : float32 (R, a), (beams, b)
        Gaussians that turn white noise into the regional drop-out; each row has norm 1.
    """

    range_mm: Singles
    beams: int
    half_angle: float
    spacing_mm: float
    x: Singles
    z: Singles
    sector: npt.NDArray[np.bool_]
    corner: npt.NDArray[np.int64]
    down: Singles
    right: Singles
    axial_basis: Singles
    beam_basis: Singles


def _basis(points: npt.NDArray[np.floating], nodes: int, low: float, high: float, scale: float) -> Singles:
    centres = np.linspace(low, high, nodes)
    # Gaussians of sd scale/2 give a field whose autocorrelation falls to 1/e at `scale`.
    weights = np.exp(-((points[:, None] - centres) ** 2) / (2 * (scale / 2) ** 2))
    return (weights / np.linalg.norm(weights, axis=1, keepdims=True)).astype(np.float32)


@lru_cache(maxsize=16)
def geometry(depth_mm: float, half_angle_deg: float, size: int, nodes: tuple[int, int]) -> Geometry:
    """The geometry of a sector, computed once per scanner and size."""
    half_angle = float(np.deg2rad(half_angle_deg))
    beams = int(np.ceil(2 * (half_angle + 2 * BEAM_STEP) / BEAM_STEP))
    margin = beams * BEAM_STEP / 2
    samples = int(np.ceil(depth_mm / AXIAL_STEP_MM)) + 2 * DISPLAY_STEP
    range_mm = ((np.arange(samples) + 0.5) * AXIAL_STEP_MM).astype(np.float32)

    spacing = depth_mm / size
    centre = (np.arange(size) + 0.5) * spacing
    x, z = np.meshgrid(centre - depth_mm / 2, centre)
    r, angle = np.hypot(x, z), np.arctan2(x, z)
    sector = (r >= NEAR_MM) & (r < depth_mm) & (np.abs(angle) < half_angle)
    # A displayed sample is the mean position of DISPLAY_STEP axial ones.
    row = r[sector] / (AXIAL_STEP_MM * DISPLAY_STEP) - 0.5
    column = (angle[sector] + margin) / BEAM_STEP - 0.5
    top, left = np.floor(np.maximum(row, 0)).astype(np.int64), np.floor(column).astype(np.int64)
    beam_angles = (np.arange(beams) + 0.5) * BEAM_STEP - margin
    return Geometry(
        range_mm=range_mm,
        beams=beams,
        half_angle=float(margin),
        spacing_mm=spacing,
        x=x.astype(np.float32),
        z=z.astype(np.float32),
        sector=sector,
        corner=top * beams + left,
        down=(row - top).astype(np.float32),
        right=(column - left).astype(np.float32),
        # The nodes span a fixed sector, so that two scanners would see one drop-out in the same place; beam angles are
        # turned into lengths at the reference depth.
        axial_basis=_basis(range_mm, nodes[0], 0.0, 170.0, DROPOUT_SCALE_MM),
        beam_basis=_basis(beam_angles * REFERENCE_MM, nodes[1], -65.0, 65.0, DROPOUT_SCALE_MM),
    )


def _decibel(gain_db: npt.NDArray[np.floating]) -> Singles:
    return np.power(np.float32(10), gain_db.astype(np.float32) / np.float32(20))


def _polar(scatterers: Scatterers, frequency_mhz: float, geo: Geometry) -> tuple[Singles, Singles]:
    """Sum of the scatterers in each polar cell, demodulated: real and imaginary (R, beams), variance 1/2 at 0 dB."""
    row = (scatterers.range_mm / np.float32(AXIAL_STEP_MM)).astype(np.int32)
    column = ((scatterers.angle + np.float32(geo.half_angle)) / np.float32(BEAM_STEP)).astype(np.int32)
    shape = (len(geo.range_mm), geo.beams)
    inside = (row < shape[0]) & (np.abs(scatterers.angle) < geo.half_angle) & (column < shape[1])
    cell = row[inside] * shape[1] + column[inside]
    phase = scatterers.range_mm[inside] * np.float32(4 * np.pi * frequency_mhz / SOUND_MM_PER_US)
    strength = scatterers.amplitude[inside]
    parts = [
        np.bincount(cell, weights=strength * wave(phase), minlength=shape[0] * shape[1]).reshape(shape)
        for wave in (np.cos, np.sin)
    ]
    # A polar cell grows with the range; without the square root its mean intensity would as well.
    density = SCATTERERS_PER_MM2 * AXIAL_STEP_MM * BEAM_STEP * geo.range_mm
    scale = (1 / np.sqrt(density)).astype(np.float32)[:, None]
    return parts[0].astype(np.float32) * scale, parts[1].astype(np.float32) * scale


def intensity(scatterers: Scatterers, profile: Profile, exam: Exam, geo: Geometry, rng: np.random.Generator) -> Singles:
    """Mean-normalised echo intensity before compression.

    Returns
    -------
    float32 (R, beams)
        Mean 1 for myocardium of 0 dB at 75 mm.
    """
    real, imaginary = _polar(scatterers, profile.frequency_mhz, geo)
    below = (geo.range_mm - REFERENCE_MM)[:, None]
    two_way = 2 * profile.frequency_mhz / 10  # dB per mm and unit of attenuation
    loss = _decibel(-scatterers.attenuation_db_cm_mhz * two_way * below)
    dropout = DROPOUT_SD_DB * (geo.axial_basis @ exam.dropout @ geo.beam_basis.T)
    clutter = _decibel(profile.clutter_db - CLUTTER_FALL_DB_PER_MM * geo.range_mm)[:, None]
    noise = _decibel(np.asarray(profile.noise_db))
    gain = loss * _decibel(dropout)
    # Haze travels with the echo, electronic noise does not; the sum of two independent Gaussians is one Gaussian.
    extra = np.sqrt((clutter * loss) ** 2 + noise**2) * np.float32(np.sqrt(0.5))

    pulse_us = 4 * np.log(2) / (np.pi * profile.bandwidth * profile.frequency_mhz)
    axial = pulse_us * SOUND_MM_PER_US / 2 / FWHM / AXIAL_STEP_MM
    beam = profile.beam_factor * SOUND_MM_PER_US / profile.frequency_mhz / profile.aperture_mm
    lateral = beam / FWHM / BEAM_STEP
    total = np.zeros_like(real)
    for part in (real, imaginary):
        part *= gain
        part += extra * rng.standard_normal(part.shape, dtype=np.float32)
        ndimage.gaussian_filter1d(part, axial, axis=0, truncate=3.0, mode="nearest", output=part)
        ndimage.gaussian_filter1d(part, lateral, axis=1, truncate=3.0, mode="nearest", output=part)
        part *= part
        total += part
    # A Gaussian filter of sd s leaves 1/(2 sqrt(pi) s) of white noise's variance per axis.
    total *= np.float32(4 * np.pi * axial * lateral)
    tgc = NOMINAL_ATTENUATION_DB_CM_MHZ * two_way * below + profile.tgc_slope_db / 50 * below
    total *= _decibel(tgc) ** 2
    return total


def display(echo: Singles, profile: Profile, gain_db: float) -> Singles:
    """Log compression, smoothing, dynamic range, speckle reduction and grey map.

    Parameters
    ----------
    echo : float32 (R, beams)
        Intensity.
    profile : Profile
        As used in this examination.
    gain_db : float

    Returns
    -------
    float32 (R / DISPLAY_STEP, beams)
        0 to 1.
    """
    level = 10 * np.log10(np.maximum(echo, np.float32(1e-12)))
    # The floor of the display is applied before smoothing, as a compressed signal has one; 12 dB of headroom.
    lowest = -profile.level * profile.dynamic_range_db - gain_db - 12.0
    np.maximum(level, np.float32(lowest), out=level)
    ndimage.gaussian_filter1d(
        level, profile.smoothing_mm / FWHM / AXIAL_STEP_MM, axis=0, truncate=3.0, mode="nearest", output=level
    )
    rows = len(level) // DISPLAY_STEP
    level = level[: rows * DISPLAY_STEP].reshape(rows, DISPLAY_STEP, -1).mean(axis=1)
    if profile.reduction > 0:
        smooth = ndimage.median_filter(level, size=(5, 3), mode="nearest")
        level += np.float32(profile.reduction) * (smooth - level)
    grey = np.clip(
        (level + np.float32(gain_db)) / np.float32(profile.dynamic_range_db) + np.float32(profile.level), 0, 1
    )
    grey **= np.float32(profile.gamma)
    return grey + np.float32(profile.s_curve) * (grey * grey * (3 - 2 * grey) - grey)


def scan_convert(grey: Singles, geo: Geometry) -> npt.NDArray[np.uint8]:
    """Bilinear interpolation from polar samples to pixels; black outside the sector."""
    flat, beams = grey.ravel(), geo.beams
    upper = flat[geo.corner] + geo.right * (flat[geo.corner + 1] - flat[geo.corner])
    below = geo.corner + beams
    lower = flat[below] + geo.right * (flat[below + 1] - flat[below])
    picture = np.zeros(geo.sector.shape, np.uint8)
    picture[geo.sector] = np.rint(255 * np.clip(upper + geo.down * (lower - upper), 0, 1)).astype(np.uint8)
    return picture


def acquire(
    scatterers: Scatterers, profile: Profile, exam: Exam, size: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.uint8], Geometry]:
    """One picture.

    Parameters
    ----------
    scatterers : Scatterers
        Of the heart, the same for every scanner.
    profile : Profile
    exam : Exam
    size : int
        Pixels per side.
    rng : numpy.random.Generator
        For noise and haze.

    Returns
    -------
    uint8 (size, size)
    Geometry
    """
    used = exam.applied(profile)
    geo = geometry(used.depth_mm, used.half_angle_deg, size, exam.dropout.shape)
    echo = intensity(scatterers, used, exam, geo, rng)
    return scan_convert(display(echo, used, exam.gain_db), geo), geo
