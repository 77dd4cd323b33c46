"""A manifest of unlabelled images: what training needs of a row is the image; who it shows is worth knowing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harmbench.data import Image, ImageSet, Sample
from harmbench.errors import DataError
from harmbench.problems import Problems
from harmbench_builtin.datasets.csv_table import MISSING_WORDS, Row, read_table
from harmbench_builtin.datasets.files import FileReader
from harmbench_builtin.datasets.image_folder import SYNTHETIC
from harmbench_builtin.datasets.manifest import without_suffix
from harmbench_builtin.datasets.pixels import decode
from harmbench_builtin.datasets.plax_phantom.folder import scope_of_folder


@dataclass(frozen=True)
class GreyReader(FileReader):
    """Reads the pixels of a sample; the mask is the whole image, whatever the manifest says."""

    def read(self, sample: Sample) -> Image:
        """Pixels as a run reads them, so that a run recognises the image."""
        values = decode(self.locate(sample.image, "image"), sample.image).values
        with np.errstate(over="ignore"):
            pixels = np.ascontiguousarray(values, dtype=np.float32)
        return Image(sample.id, pixels, np.ones(pixels.shape, dtype=bool))


def images_of_manifest(path: Path) -> ImageSet:
    """The images that a manifest names. No file is opened: one that is missing or damaged is found when it is read.

    The only column that must be there is `image`; `patient`, `pair` and `id` are used where they are, and all others
    are not looked at. A manifest that a run takes is therefore fine, too, and its patients are the same ones.

    Parameters
    ----------
    path : Path
        Of the CSV.

    Raises
    ------
    DataError
        The file cannot be read, there is no column `image`, or a cell of it is empty. `DataErrors` for several things.
    """
    if not path.is_file():
        raise DataError(
            "the manifest does not exist.",
            file=path.name,
            remedy="Check the path given as --data: a CSV with a column 'image', and 'patient' where it is known.",
        )
    table = read_table(path)
    table.require(("image",))
    problems = Problems(table.problems)
    samples: list[Sample] = []
    rows: list[int] = []
    first: dict[str, int] = {}
    for row in table.rows:
        with problems.collected():
            image = table.filled(row, "image")
            name = row.cells.get("id", "") or without_suffix(image)
            if name in first:
                raise table.error(
                    f"the image '{name}' is already in row {first[name]}.", row, "image", "List every image once."
                )
            first[name] = row.number
            patient, pair = (_known(row, column) for column in ("patient", "pair"))
            samples.append(Sample(id=name, image=image, mask="", manufacturer="", patient=patient, label="", pair=pair))
            rows.append(row.number)
    problems.raise_any(f"in {table.file}")
    return ImageSet(
        name="image-folder",
        samples=tuple(samples),
        reader=GreyReader(str(path.parent)),
        classes=("", ""),
        synthetic=(path.parent / SYNTHETIC).is_file(),
        file=table.file,
        rows=tuple(rows),
        patient_scope=scope_of_folder(path.parent),
    )


def _known(row: Row, column: str) -> str:
    text = row.cells.get(column, "")
    return "" if text.casefold() in MISSING_WORDS else text
