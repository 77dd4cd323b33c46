"""Images, masks and settings on which PyRadiomics' values are stored; made anew from seeds, never stored themselves.

`RandomState` draws the same numbers in every version of NumPy (newer generators may change), and what comes out of a
filter or a logarithm is rounded to 1/64, so that every machine makes the same inputs. Their digests are stored with
the values all the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

RTOL, ATOL = 1e-6, 1e-12
ROOTS = ("shape2D_Elongation", "shape2D_MinorAxisLength")
"""Of pixels on a line these are the root of 0. PyRadiomics gives the root of what rounding leaves, up to 1e-8 of the
line's length."""


@dataclass(frozen=True)
class Case:
    """Maps (K, H, W), the mask of each, and one setting."""

    name: str
    maps: np.ndarray
    masks: np.ndarray
    spacing: tuple[float, float] = (1.0, 1.0)
    settings: dict[str, float] = field(default_factory=dict)

    def digest(self) -> str:
        made = hashlib.sha256(repr((self.name, self.maps.shape, self.spacing, sorted(self.settings.items()))).encode())
        made.update(np.ascontiguousarray(self.maps, dtype="<f8").tobytes())
        made.update(np.packbits(self.masks).tobytes())
        return made.hexdigest()


def tolerance(names: list[str], expected: np.ndarray) -> np.ndarray:
    """The largest absolute difference allowed from each expected value."""
    allowed = ATOL + RTOL * np.abs(expected)
    length = expected[..., names.index("shape2D_MajorAxisLength")]
    allowed[..., names.index("shape2D_Elongation")] += 2e-8
    allowed[..., names.index("shape2D_MinorAxisLength")] += 2e-8 * length
    return allowed


def ring(size: int, outer: tuple[float, float] = (0.42, 0.33), inner: tuple[float, float] = (0.25, 0.18)) -> np.ndarray:
    """An elliptical ring; radii as shares of the image's side."""
    y, x = np.mgrid[:size, :size] / size - 0.5
    return ((y / outer[0]) ** 2 + (x / outer[1]) ** 2 <= 1) & ((y / inner[0]) ** 2 + (x / inner[1]) ** 2 > 1)


def _blur(field_: np.ndarray, reach: int) -> np.ndarray:
    weights = 1.0 / (1 + np.abs(np.arange(-reach, reach + 1)))
    for axis in (0, 1):
        field_ = np.apply_along_axis(lambda line: np.convolve(line, weights, "same"), axis, field_)
    return field_


def speckle(seed: int, count: int, size: int) -> np.ndarray:
    """Log-compressed speckle, 0 to 255."""
    draw = np.random.RandomState(seed)
    out = []
    for _ in range(count):
        envelope = np.hypot(_blur(draw.normal(size=(size, size)), 2), _blur(draw.normal(size=(size, size)), 2))
        out.append(np.clip(255 + 102 * np.log10(envelope / envelope.max() + 1e-6), 0, 255))
    return np.round(np.stack(out) * 64) / 64


def signed(seed: int, count: int, size: int) -> np.ndarray:
    """Maps of either sign, as a filter gives them."""
    draw = np.random.RandomState(seed)
    images = speckle(seed + 1, count, size)
    kernels = draw.normal(size=(count, 4, 4)) / 4
    out = np.zeros_like(images)
    for k, (kernel, image) in enumerate(zip(kernels, images, strict=True)):
        padded = np.pad(image, ((1, 2), (1, 2)), mode="reflect")
        for i in range(4):
            for j in range(4):
                out[k] += kernel[i, j] * padded[i : i + size, j : j + size]
    return np.round(out * 64) / 64


def uniform(seed: int, count: int, size: int) -> np.ndarray:
    """Independent values from -100 to 100 with all 53 bits."""
    return np.random.RandomState(seed).random_sample((count, size, size)) * 200 - 100


def _masks(size: int, count: int, draw: Callable[[int], np.ndarray]) -> np.ndarray:
    masks = np.zeros((count, size, size), dtype=bool)
    for k in range(count):
        masks[k] = draw(k)
    return masks


def _tiny(size: int, count: int) -> np.ndarray:
    """4 to 60 pixels in a box of 2 to 8 by 2 to 8."""
    draw = np.random.RandomState(7)
    masks = np.zeros((count, size, size), dtype=bool)
    for mask in masks:
        h, w = draw.randint(2, 9, 2)
        box = draw.random_sample((h, w)) < 0.8
        box[0, :2] = box[-1, -2:] = True
        mask[5 : 5 + h, 9 : 9 + w] = box
    return masks


def _thin(size: int) -> np.ndarray:
    """Masks one pixel wide: diagonal, antidiagonal, an L, a ring, a zigzag, a comb of loose pixels."""
    line = np.eye(size, dtype=bool)
    ell = np.zeros_like(line)
    ell[4:20, 6] = ell[19, 6:28] = True
    loop = np.zeros_like(line)
    loop[4:20, 5:26] = True
    loop[5:19, 6:25] = False
    at = np.arange(3, size - 3)
    zigzag, comb = np.zeros_like(line), np.zeros_like(line)
    zigzag[10 + at % 2, at] = True
    comb[6, 4:30:2] = comb[7, 4] = True
    return np.stack([line, line[:, ::-1], ell, loop, zigzag, comb])


def cases() -> Iterator[Case]:
    """All cases, one after the other."""
    size = 36
    whole = ring(size)

    def same(maps: np.ndarray, mask: np.ndarray = whole) -> np.ndarray:
        return np.broadcast_to(mask, maps.shape)

    maps = speckle(0, 4, size)
    yield Case("speckle", maps, same(maps), settings={"bin_count": 32})
    maps = signed(1, 4, size)
    yield Case("signed", maps, same(maps), settings={"bin_count": 32})
    yield Case("signed, width", maps, same(maps), settings={"bin_width": 7.5})
    yield Case("all negative, width", -np.abs(maps) - 1000, same(maps), settings={"bin_width": 3.3})
    yield Case("signed, distance 2", maps, same(maps), settings={"bin_count": 32, "distance": 2})
    yield Case("signed, asymmetric", maps, same(maps), settings={"bin_count": 24, "symmetrical_glcm": False})
    yield Case(
        "signed, distance 3, asymmetric, width",
        maps,
        same(maps),
        settings={"bin_width": 11.0, "distance": 3, "symmetrical_glcm": False},
    )
    yield Case("unequal spacing", maps[:2], same(maps[:2]), (0.2, 0.5), {"bin_count": 32})
    yield Case("unequal spacing, wide rows", maps[2:], same(maps[2:]), (1.7, 0.3), {"bin_count": 32})
    maps = speckle(2, 3, size)
    yield Case("speckle, width", maps, same(maps), settings={"bin_width": 5.0})
    yield Case("few levels", np.floor(maps / 60), same(maps), settings={"bin_count": 32})
    yield Case("saturated integers", np.maximum(np.round(maps) - 170, 0), same(maps), settings={"bin_count": 32})
    yield Case("integers on edges", np.round(maps / 8), same(maps), settings={"bin_count": 31})
    yield Case("integers on edges, width", np.round(maps / 8) * 0.1, same(maps), settings={"bin_width": 0.1})
    yield Case("small on large", maps / 64 + 1e6, same(maps), settings={"bin_count": 32})
    flat = np.full((1, size, size), 7.25)
    yield Case("constant", flat, same(flat), settings={"bin_count": 32})
    yield Case("constant, width", flat, same(flat), settings={"bin_width": 1.0})
    board = (np.indices((size, size)).sum(axis=0) % 2.0)[None]
    yield Case("checkerboard", board, same(board), settings={"bin_count": 2})
    maps = uniform(3, 6, size)
    draw = np.random.RandomState(4)
    share = np.linspace(0.02, 0.9, 6)
    scattered = _masks(size, 6, lambda k: draw.random_sample((size, size)) < share[k])
    yield Case("scattered masks", maps, scattered, settings={"bin_count": 16})
    yield Case("scattered masks, distance 2", maps, scattered, settings={"bin_count": 6, "distance": 2})
    yield Case("thin masks", np.round(maps / 30) * 30, _thin(size), settings={"bin_count": 8})
    radii = 0.1 + 0.35 * draw.random_sample((4, 4))
    rings = _masks(size, 4, lambda k: ring(size, tuple(radii[k, :2] + 0.04), tuple(radii[k, 2:] / 3)))
    yield Case("rings of any size", speckle(5, 4, size), rings, settings={"bin_count": 64})
    parts = whole.copy()
    parts[:, ::7] = parts[14:17] = False
    parts[1:4, 1:4] = parts[-2:, -3:] = True
    yield Case("parts and holes", maps[:2], same(maps[:2], parts), settings={"bin_count": 32})
    border = np.zeros((size, size), dtype=bool)
    border[:9] = border[-3:, 12:] = border[:, -2:] = True
    yield Case("at the border", signed(6, 3, size), same(maps[:3], border), settings={"bin_count": 32})
    yield Case("all of the image", maps[:1], np.ones((1, size, size), dtype=bool), settings={"bin_count": 32})
    yield Case("tiny masks", speckle(8, 10, 20), _tiny(20, 10), settings={"bin_count": 32})
    yield Case("254 levels", maps[:1], same(maps[:1]), settings={"bin_count": 254})
    yield Case("255 levels", maps[:1], same(maps[:1]), settings={"bin_count": 255})
    yield Case("300 levels", speckle(9, 2, size), same(maps[:2]), settings={"bin_count": 300})
    yield Case("1500 levels, width", maps[:1], same(maps[:1]), settings={"bin_width": 0.13})
    yield Case("1000 levels", maps[1:2], same(maps[1:2]), settings={"bin_count": 1000, "symmetrical_glcm": False})
    maps = np.concatenate([speckle(10, 1, 256), signed(11, 1, 256)])
    heart = ring(256, (0.27, 0.195), (0.185, 0.13))
    yield Case("full size", maps, same(maps, heart), settings={"bin_count": 32})
    yield Case("full size, 128 levels", maps[:1], same(maps[:1], heart), settings={"bin_count": 128})
