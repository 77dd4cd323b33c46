"""Data set `image-folder`: somebody's own images, described by a manifest CSV."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from harmbench.components import DatasetContext
from harmbench.data import ImageSet, Sample
from harmbench.design import two_classes
from harmbench.errors import DataError, UsageError, suggestion
from harmbench.problems import VALIDATE, Problems
from harmbench_builtin.datasets.files import FileReader
from harmbench_builtin.datasets.manifest import EXAMPLE, inspect_manifest
from harmbench_builtin.datasets.plax_phantom.folder import scope_of_folder

MANIFEST = "manifest.csv"
SYNTHETIC = "SYNTHETIC.txt"
"""A file of this name beside the manifest says that the images are generated."""


class ImageFolder:
    """Images of a manifest.

    Parameters
    ----------
    positive : str, default ""
        The positive class; the second in alphabetical order when empty.
    exclude : str, default ""
        Manufacturers to leave out, separated by commas.
    allow_outside : bool, default False
        Whether the manifest may name files outside its folder.
    """

    def __init__(self, positive: str = "", exclude: str = "", allow_outside: bool = False) -> None:
        if not isinstance(allow_outside, bool):
            raise UsageError(f"allow_outside={allow_outside!r} must be true or false.")
        self.positive, self.exclude, self.allow_outside = str(positive), str(exclude), allow_outside

    def load(self, context: DatasetContext) -> ImageSet:
        """The samples of the manifest that `context.data` names (the CSV, or a folder with a manifest.csv).

        Raises
        ------
        DataError
            No or a wrong manifest, a file that is missing, not exactly two classes. `DataErrors` where the manifest
            could be read, with all of its problems.
        UsageError
            `positive` or `exclude` names something that is not there.
        """
        path = find_manifest(context.data)
        manifest = inspect_manifest(path)
        problems, partial = Problems(manifest.problems), manifest.partial
        samples, rows, notes = leave_out(manifest.samples, manifest.rows, self.exclude, partial)
        classes = ("", "")
        if not partial:
            with problems.collected():
                classes = two_classes([s.label for s in samples], self.positive, file=manifest.file)
            partial = not any(classes)
        if not self.positive and not partial:
            notes.append(f"positive class: '{classes[1]}' (the second in alphabetical order; set positive= to change)")
        reader = FileReader(str(path.parent), self.allow_outside)
        problems.add(missing_files(reader, samples, manifest.file, rows))
        images = ImageSet(
            name="image-folder",
            samples=samples,
            reader=reader,
            classes=classes,
            synthetic=(path.parent / SYNTHETIC).is_file(),
            notes=(*manifest.notes, *notes),
            file=manifest.file,
            rows=rows,
            patient_scope=scope_of_folder(path.parent),
        )
        problems.raise_any(f"{VALIDATE} --data {shlex.quote(str(context.data))}", images, partial)
        return images


def find_manifest(data: str | None) -> Path:
    """The manifest that `--data` means."""
    example = f"A manifest looks like this:\n{EXAMPLE}"
    if not data:
        raise DataError("data set 'image-folder' needs a manifest.", remedy=f"Give its CSV file with --data. {example}")
    path = Path(data).expanduser()
    if path.is_dir():
        found = sorted(p for p in path.iterdir() if p.name.lower() == MANIFEST)
        if len(found) != 1:
            others = ", ".join(sorted(p.name for p in path.glob("*.csv"))[:5])
            raise DataError(
                f"the folder holds {len(found) or 'no'} {MANIFEST}" + (f" (but {others})." if others else "."),
                file=path.name,
                remedy=f"Give the CSV file itself with --data. {example}",
            )
        path = found[0]
    if not path.exists():
        raise DataError(
            "the manifest does not exist.", file=path.name, remedy=f"Check the path given as --data. {example}"
        )
    return path


def leave_out(
    samples: Sequence[Sample], rows: Sequence[int], exclude: str, partial: bool = False
) -> tuple[tuple[Sample, ...], tuple[int, ...], list[str]]:
    """Samples without the manufacturers named in `exclude` (separated by commas), their rows, and notes.

    A pair that is left with one image is no pair any more; its key is dropped, and so is an image that only served
    as its other half. A name that is not there is an error, unless samples are missing (`partial`).
    """
    counts = Counter(s.manufacturer for s in samples)
    names = [name.strip() for name in exclude.split(",") if name.strip()]
    for name in names:
        if name not in counts and not partial:
            raise UsageError(f"exclude='{name}' is not a manufacturer of the data.{suggestion(name, counts)}")
    if not names:
        return tuple(samples), tuple(rows), []
    kept = [(s, row) for s, row in zip(samples, rows, strict=True) if s.manufacturer not in names]
    notes = [f"manufacturer '{name}' left out ({counts[name]} images)" for name in dict.fromkeys(names)]
    before, after = Counter(s.pair for s in samples), Counter(s.pair for s, _ in kept)
    widowed = {key for key, n in after.items() if key and n == 1 and before[key] > 1}
    if widowed:
        kept = [
            (replace(s, pair="") if s.pair in widowed else s, row)
            for s, row in kept
            if not (s.pair in widowed and s.split == "paired")
        ]
        notes.append(f"{len(widowed)} pairs had their other image left out and are pairs no more")
    return tuple(s for s, _ in kept), tuple(row for _, row in kept), notes


def missing_files(reader: FileReader, samples: Sequence[Sample], file: str, rows: Sequence[int]) -> Iterator[DataError]:
    """An error for every image and mask that cannot be found, with the row and the column that name it.

    Nothing is decoded: a run over thousands of images should not learn after an hour that the last one is missing.
    """
    for sample, row in zip(samples, rows, strict=True):
        for column in ("image", "mask"):
            try:
                reader.locate(getattr(sample, column), column)
            except DataError as error:
                yield DataError(
                    f"'{error.file}': {error.problem}", file=file, row=row, column=column, remedy=error.remedy
                )
