"""What flows through a run: samples, images, maps, feature tables.

All are frozen. Arrays are never written to after construction; whoever changes values makes a new object.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Texts = npt.NDArray[np.str_]
Bools = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int_]

SHAPE_PREFIX = "shape2D_"
"""Features of the mask alone carry this prefix and no map name; all others read `<map>_<class>_<Feature>`."""
FEATURE_CLASSES = ("firstorder", "glcm", "glrlm", "glszm", "gldm", "ngtdm")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One image of one patient, by reference.

    Parameters
    ----------
    id : str
        Unique in the image set.
    image, mask : str
        What the set's reader needs to find them (usually paths relative to the set's root).
    manufacturer, patient : str
    label : str
        One of the image set's two classes.
    covariates : mapping of str to float or str
    pair : str
        Images with the same non-empty key show the same object on several scanners.
    split : str
        "" (cross-validated), "train" or "test" (a fixed hold-out), or "paired": the image only serves paired
        agreement; it is never fitted on, and never part of JSD or AUC.
    spacing : (float, float) or None
        Row and column spacing in mm; None when unknown.
    """

    id: str
    image: str
    mask: str
    manufacturer: str
    patient: str
    label: str
    covariates: Mapping[str, float | str] = field(default_factory=dict)
    pair: str = ""
    split: str = ""
    spacing: tuple[float, float] | None = None


@dataclass(frozen=True)
class Image:
    """Pixels and mask of one sample.

    Parameters
    ----------
    sample : str
        The sample's id.
    pixels : float32 (H, W)
        Grey levels as stored, not rescaled.
    mask : bool (H, W)
        The region of interest, never empty.
    spacing : (float, float) or None
        mm per row and per column.
    """

    sample: str
    pixels: npt.NDArray[np.float32]
    mask: Bools
    spacing: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        # A bool array made from foreign memory (a 1-bit PNG) may hold 255 for true, which sums and compiled code take
        # at its word.
        if self.mask.dtype == bool:
            object.__setattr__(self, "mask", np.ascontiguousarray(self.mask).view(np.uint8) != 0)


@dataclass(frozen=True)
class FilteredImage:
    """What an image harmonizer makes of one image: K maps over the same mask.

    Parameters
    ----------
    sample : str
    maps : float64 (K, H, W)
        float64, because rounding the filter's sums to float32 moves texture features by more than 1e-6.
    names : tuple of str, length K
        ("original",) for an image that was left alone.
    mask : bool (H, W)
    spacing : (float, float) or None
    """

    sample: str
    maps: Floats
    names: tuple[str, ...]
    mask: Bools
    spacing: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.maps.ndim != 3 or len(self.names) != len(self.maps) or self.maps.shape[1:] != self.mask.shape:
            raise ValueError(
                f"sample '{self.sample}': maps {self.maps.shape}, {len(self.names)} names and mask {self.mask.shape} "
                "do not fit together; maps must be (K, H, W) with K names and a mask (H, W)"
            )


@dataclass(frozen=True)
class FilterBank:
    """An image stage that is a plain filter: map k is the correlation of the pixels with kernel k, plus its bias.

    Stride 1, reflect padding ((k-1)//2 before, k//2 after), float64. An extractor that knows this need not make maps.

    Parameters
    ----------
    pixels : float64 (H, W)
        The image as the filter sees it.
    kernels : float64 (K, h, w)
    bias : float64 (K,)
    names : tuple of str, length K
    """

    pixels: Floats
    kernels: Floats
    bias: Floats
    names: tuple[str, ...]


class Reader(Protocol):
    """How an image set finds pixels. Must survive pickling (images are read in worker processes)."""

    def read(self, sample: Sample) -> Image: ...

    def digest(self, sample: Sample) -> str:
        """A hash of everything that determines what `read` returns (contents, not paths or dates)."""
        ...


@dataclass(frozen=True)
class ImageSet:
    """An ordered collection of samples whose images are read when asked for.

    Parameters
    ----------
    name : str
        The data set's name.
    samples : tuple of Sample
    reader : Reader
    classes : (str, str)
        Negative and positive class; AUC and sensitivity are about the second.
    synthetic : bool
    notes : tuple of str
        Facts a reader of the results must know (what was dropped and why, licences).
    file : str
        What messages call the file that lists the samples; "" where there is none.
    rows : tuple of int
        The row of that file in which each sample stands (the header is row 1); () where there is none.
    patient_scope : str
        Sets of one scope call the same patient by the same name, others do not ("" stands for the set's `name`).
        Asked when a method was pretrained on patients of its own.
    """

    name: str
    samples: tuple[Sample, ...]
    reader: Reader
    classes: tuple[str, str]
    synthetic: bool = False
    notes: tuple[str, ...] = ()
    file: str = ""
    rows: tuple[int, ...] = ()
    patient_scope: str = ""

    def __post_init__(self) -> None:
        if self.rows and len(self.rows) != len(self.samples):
            raise ValueError(f"data set '{self.name}': {len(self.samples)} samples have {len(self.rows)} rows")

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Image]:
        return (self.reader.read(sample) for sample in self.samples)

    def read(self, index: int) -> Image:
        return self.reader.read(self.samples[index])

    def subset(self, keep: Sequence[int] | Integers) -> ImageSet:
        """The samples at these positions, in this order."""
        return replace(
            self,
            samples=tuple(self.samples[int(i)] for i in keep),
            rows=tuple(self.rows[int(i)] for i in keep) if self.rows else (),
        )


@dataclass(frozen=True)
class Features:
    """What an extractor returns: one row per image, all rows with the same columns.

    Parameters
    ----------
    samples : tuple of str, length n
    names : tuple of str, length p
        `<map>_<class>_<Feature>`, or `shape2D_<Feature>` for what the mask alone determines.
    values : float64 (n, p)
    """

    samples: tuple[str, ...]
    names: tuple[str, ...]
    values: Floats


@dataclass(frozen=True)
class FeatureTable:
    """n samples by p features with what is known of each sample. Frozen; make another with `with_values`.

    Parameters
    ----------
    values : float64 (n, p)
    features : tuple of str, length p
    samples, manufacturer, patient : str arrays (n,)
    label : int array (n,) of 0 and 1, or None
        None whenever the runner withholds it.
    covariates : mapping of name to array (n,)
        float64, or str for categorical ones. Never holds the label.
    pair : str array (n,), optional
        Pairing keys, "" where there is none.
    """

    values: Floats
    features: tuple[str, ...]
    samples: Texts
    manufacturer: Texts
    patient: Texts
    label: Integers | None = None
    covariates: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    pair: Texts | None = None

    def __post_init__(self) -> None:
        n, p = self.values.shape
        if len(self.features) != p:
            raise ValueError(f"a table with {p} columns has {len(self.features)} feature names")
        columns: dict[str, npt.NDArray[Any]] = {"samples": self.samples, "manufacturer": self.manufacturer}
        columns["patient"] = self.patient
        columns |= {k: v for k, v in (("label", self.label), ("pair", self.pair)) if v is not None}
        columns |= {f"covariate '{k}'": v for k, v in self.covariates.items()}
        for name, column in columns.items():
            if len(column) != n:
                raise ValueError(f"a table with {n} rows has {len(column)} entries of {name}")

    def __len__(self) -> int:
        return len(self.values)

    def rows(self, keep: Any) -> FeatureTable:
        """The rows chosen by positions or a boolean mask."""
        return replace(
            self,
            values=self.values[keep],
            samples=self.samples[keep],
            manufacturer=self.manufacturer[keep],
            patient=self.patient[keep],
            label=None if self.label is None else self.label[keep],
            covariates={k: v[keep] for k, v in self.covariates.items()},
            pair=None if self.pair is None else self.pair[keep],
        )

    def columns(self, keep: Any) -> FeatureTable:
        """The features chosen by positions or a boolean mask."""
        names = np.asarray(self.features, dtype=object)[keep]
        return replace(self, values=self.values[:, keep], features=tuple(names))

    def with_values(self, values: Floats) -> FeatureTable:
        """The same rows and features with other values."""
        return replace(self, values=np.asarray(values, dtype=np.float64))

    def with_label(self, label: Integers | None) -> FeatureTable:
        return replace(self, label=label)

    @property
    def manufacturers(self) -> tuple[str, ...]:
        """The manufacturers present, sorted."""
        return tuple(sorted(set(self.manufacturer.tolist())))


def concatenate(tables: Sequence[FeatureTable]) -> FeatureTable:
    """Rows of several tables with the same features, one after the other."""
    first = tables[0]
    if any(t.features != first.features for t in tables):
        raise ValueError("tables with different features cannot be put together")
    labels = [t.label for t in tables if t.label is not None]
    pairs = [t.pair for t in tables if t.pair is not None]
    return FeatureTable(
        values=np.concatenate([t.values for t in tables]),
        features=first.features,
        samples=np.concatenate([t.samples for t in tables]),
        manufacturer=np.concatenate([t.manufacturer for t in tables]),
        patient=np.concatenate([t.patient for t in tables]),
        label=np.concatenate(labels) if len(labels) == len(tables) else None,
        covariates={k: np.concatenate([t.covariates[k] for t in tables]) for k in first.covariates},
        pair=np.concatenate(pairs) if len(pairs) == len(tables) else None,
    )


def union(tables: Sequence[FeatureTable], order: Sequence[str]) -> FeatureTable:
    """Rows of tables that hold some of the same features each, one after the other; NaN where a table lacks a feature.

    Parameters
    ----------
    tables : sequence of FeatureTable
    order : sequence of str
        All features there may be; the result has those that some table holds, in this order.
    """
    there = {name for table in tables for name in table.features}
    names = tuple(name for name in order if name in there)
    place = {name: j for j, name in enumerate(names)}
    padded = []
    for table in tables:
        values = np.full((len(table), len(names)), np.nan)
        values[:, [place[name] for name in table.features]] = table.values
        padded.append(replace(table, values=values, features=names))
    return concatenate(padded)


def map_of(feature: str) -> str:
    """The map a feature was computed on; "" for shape features, which have none."""
    for name in FEATURE_CLASSES:
        head, mark, _ = feature.partition(f"_{name}_")
        if mark:
            return head
    return ""


def class_of(feature: str) -> str:
    """The feature's class, "shape2D" for what the mask alone determines; "" for a name of another form."""
    if feature.startswith(SHAPE_PREFIX):
        return SHAPE_PREFIX.rstrip("_")
    return next((name for name in FEATURE_CLASSES if f"_{name}_" in feature), "")
