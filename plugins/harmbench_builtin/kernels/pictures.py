"""Kernels and their frequency responses as PNG pictures, each tile with its number and a figure. Needs Pillow only."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from harmbench.data import Floats
from harmbench_builtin.kernels.facts import KernelFacts, frequency_responses, kernel_facts

Rgb = npt.NDArray[np.uint8]

FLOOR_DB = -40.0
"""The darkest colour of a frequency response, dB below the kernel's own largest gain."""
_TILE, _GAP, _TEXT, _MARGIN = 72, 10, 26, 16
_MOST_TILES = 1024

# Control points of two colour scales, from the smallest value to the largest; colours between them are mixed.
_DIVERGING = ((33, 82, 160), (146, 186, 222), (247, 247, 247), (240, 160, 130), (170, 24, 40))
_RISING = ((8, 8, 26), (66, 20, 104), (150, 38, 103), (222, 80, 60), (250, 158, 26), (252, 252, 164))


def _coloured(shares: Floats, points: Sequence[tuple[int, int, int]]) -> Rgb:
    """Colours of values from 0 to 1."""
    at = np.linspace(0, 1, len(points))
    channels = [np.interp(shares, at, [point[c] for point in points]) for c in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def _enlarged(values: Floats, side: int) -> Floats:
    """Each value as a square block, so that the longer side has about `side` pixels and nothing is interpolated."""
    times = max(1, side // max(values.shape))
    return values.repeat(times, 0).repeat(times, 1)


def kernel_tile(kernel: Floats) -> Rgb:
    """One kernel (h, w): blue below 0, white at 0, red above, by its own largest absolute weight."""
    largest = float(np.abs(kernel).max())
    shares = 0.5 + 0.5 * (kernel / largest if largest else kernel)
    return _coloured(_enlarged(shares, _TILE), _DIVERGING)


def response_tile(response: Floats) -> Rgb:
    """One frequency response (n, n): dB below its own maximum, from `FLOOR_DB` (dark) to 0 (bright)."""
    largest = float(response.max())
    share = response / largest if largest else response
    decibel = 20 * np.log10(np.maximum(share, 10 ** (FLOOR_DB / 20)))
    return _coloured(_enlarged(1 - decibel / FLOOR_DB, _TILE), _RISING)


def kernels_picture(weight: Floats, title: str) -> bytes:
    """All kernels (K, h, w) as a PNG; below each its number and its norm."""
    return _grid(
        weight,
        title,
        "Each kernel by its own largest absolute weight: red above 0, white 0, blue below. Below it: number, norm.",
        lambda i: kernel_tile(weight[i]),
        lambda fact: f"{fact.norm:.3g}",
        ("-max", "+max", _DIVERGING),
    )


def responses_picture(weight: Floats, title: str) -> bytes:
    """The frequency responses of all kernels (K, h, w) as a PNG; below each its number, frequency and direction."""
    responses = frequency_responses(weight)
    return _grid(
        weight,
        title,
        "|gain| in dB below each kernel's own maximum; middle: frequency 0, edges: 0.5 cycles per pixel. "
        "Below it: number, strongest frequency (cycles/pixel), direction.",
        lambda i: response_tile(responses[i]),
        lambda fact: f"{fact.frequency:.2f}" + ("" if math.isnan(fact.direction) else f" {fact.direction:.0f}°"),
        (f"{FLOOR_DB:.0f} dB", "0 dB", _RISING),
    )


def _grid(
    weight: Floats,
    title: str,
    explanation: str,
    tile: Callable[[int], Rgb],
    figure: Callable[[KernelFacts], str],
    scale: tuple[str, str, Sequence[tuple[int, int, int]]],
) -> bytes:
    count = min(len(weight), _MOST_TILES)
    facts = kernel_facts(weight[:count])
    columns = max(6, math.ceil(math.sqrt(count * 1.6)))
    rows = math.ceil(count / columns)
    first = tile(0)
    height, width = first.shape[0], max(first.shape[1], _TILE)
    font = ImageFont.load_default(size=11)
    total = _MARGIN * 2 + columns * (width + _GAP) - _GAP
    lines = _wrapped(explanation, font, total - 2 * _MARGIN)
    if count < len(weight):
        lines.append(f"The first {count} of {len(weight)} kernels.")
    top = _MARGIN + 20 + 14 * len(lines) + 24
    canvas = Picture.new("RGB", (total, top + rows * (height + _TEXT + _GAP) + _MARGIN), "white")
    draw = ImageDraw.Draw(canvas)
    draw.text((_MARGIN, _MARGIN - 4), title, fill="black", font=ImageFont.load_default(size=15))
    for i, line in enumerate(lines):
        draw.text((_MARGIN, _MARGIN + 18 + 14 * i), line, fill=(70, 70, 70), font=font)
    _legend(canvas, draw, (_MARGIN, top - 22), scale, font)
    for i, fact in enumerate(facts):
        x = _MARGIN + i % columns * (width + _GAP)
        y = top + i // columns * (height + _TEXT + _GAP)
        pixels = tile(i)
        canvas.paste(Picture.fromarray(pixels), (x, y))
        draw.rectangle((x - 1, y - 1, x + pixels.shape[1], y + pixels.shape[0]), outline=(150, 150, 150))
        draw.text((x, y + height + 1), f"{fact.number}", fill="black", font=font)
        draw.text((x, y + height + 13), figure(fact), fill=(70, 70, 70), font=font)
    sink = io.BytesIO()
    # 256 colours are enough for two scales and text, and make the file five times smaller.
    canvas.quantize(256, dither=Picture.Dither.NONE).save(sink, "PNG", optimize=True)
    return sink.getvalue()


def _legend(
    canvas: Picture.Image,
    draw: ImageDraw.ImageDraw,
    at: tuple[int, int],
    scale: tuple[str, str, Sequence[tuple[int, int, int]]],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    low, high, points = scale
    left = at[0] + round(font.getlength(low)) + 6
    draw.text(at, low, fill=(70, 70, 70), font=font)
    canvas.paste(Picture.fromarray(_coloured(np.linspace(0, 1, 120)[None].repeat(12, 0), points)), (left, at[1] + 1))
    draw.text((left + 126, at[1]), high, fill=(70, 70, 70), font=font)


def _wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) > width and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
