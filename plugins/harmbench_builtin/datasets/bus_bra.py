"""Data set `bus-bra`: the published folder of breast ultrasound images (Gomez-Flores et al., Med Phys 51, 2024).

Layout: bus_data.csv, Images/bus_<nr>-<side>.png (8-bit grey), Masks/mask_<nr>-<side>.png (one lesion, 1 bit).
"""

from __future__ import annotations

import shlex
from pathlib import Path

from PIL import Image as Pillow

from harmbench.components import DatasetContext
from harmbench.data import ImageSet, Sample
from harmbench.errors import DataError, UsageError, suggestion
from harmbench.problems import VALIDATE, Problems
from harmbench_builtin.datasets.csv_table import Row, Table, number, read_table
from harmbench_builtin.datasets.files import FileReader
from harmbench_builtin.datasets.image_folder import leave_out, missing_files

CSV = "bus_data.csv"
COLUMNS = ("id", "case", "pathology", "birads", "device", "width", "height", "side")
CLASSES = ("benign", "malignant")
MAKERS = ("GE", "Toshiba", "U-Systems")
"""What a device name may begin with. A device of another maker is an error: a maker is never guessed."""


class BusBra:
    """BUS-BRA, whole or a share of it.

    The batch is the device ("GE Logiq 5", without the probe's frequency) or its maker; the patient is `Case`; the
    label is `Pathology`, malignant being positive. `BIRADS` (numeric) and `Side` are covariates. `Histology` is not:
    it determines the label. Nothing is known of the pixel spacing.

    Parameters
    ----------
    batch : {"device", "maker"}, default "device"
    exclude : str, default ""
        Devices (or makers) to leave out, separated by commas.
    """

    def __init__(self, batch: str = "device", exclude: str = "") -> None:
        if batch not in ("device", "maker"):
            raise UsageError(f"batch='{batch}' must be 'device' or 'maker'.{suggestion(batch, ('device', 'maker'))}")
        self.batch, self.exclude = batch, str(exclude)

    def load(self, context: DatasetContext) -> ImageSet:
        """The samples of the folder that `context.data` names.

        Raises
        ------
        DataError
            The folder or its CSV is not as published, or a file is missing or no image. `DataErrors` where the CSV
            could be read, with all of its problems.
        UsageError
            `exclude` names no device of the data.
        """
        folder = find_folder(context.data)
        table = read_table(folder / CSV)
        table.require(COLUMNS)
        problems = Problems(table.problems)
        everything: list[Sample] = []
        lines: list[int] = []
        for row in table.rows:
            with problems.collected():
                everything.append(self._sample(table, row))
                lines.append(row.number)
        partial = bool(problems)
        samples, rows, notes = leave_out(everything, lines, self.exclude, partial)
        reader = FileReader(str(folder))
        missing = list(missing_files(reader, samples, table.file, rows))
        problems.add(missing)
        absent = {error.row for error in missing}
        by_number = {row.number: row for row in table.rows}
        sizes: list[str] = []
        for sample, line in zip(samples, rows, strict=True):
            if line not in absent:
                with problems.collected():
                    sizes.append(_size_note(reader, sample, table, by_number[line]))
        images = ImageSet(
            name="bus-bra",
            samples=samples,
            reader=reader,
            classes=CLASSES,
            notes=(
                f"batch = {self.batch}; breast lesions, not hearts; pixel spacing unknown",
                "cite Gomez-Flores et al., Med Phys 51:3110-3123 (2024)",
                *notes,
                *filter(None, sizes),
            ),
            file=table.file,
            rows=rows,
        )
        command = f"{VALIDATE} bus-bra --data {shlex.quote(str(context.data))}"
        problems.raise_any(command, images, partial)
        return images

    def _sample(self, table: Table, row: Row) -> Sample:
        image = table.filled(row, "id")
        if not image.startswith("bus_"):
            raise table.error(f"'{image}' does not begin with 'bus_'.", row, "id", "Use the CSV as published.")
        label = table.filled(row, "pathology")
        if label not in CLASSES:
            raise table.error(f"'{label}' is neither benign nor malignant.", row, "pathology", "Correct it.")
        birads = number(table.filled(row, "birads"))
        if birads is None:
            raise table.error(f"'{row['birads']}' is no BI-RADS category.", row, "birads", "Write 1 to 6.")
        device = device_name(table.filled(row, "device"))
        return Sample(
            id=image,
            image=f"Images/{image}.png",
            mask=f"Masks/mask_{image.removeprefix('bus_')}.png",
            manufacturer=device if self.batch == "device" else _maker(device, table, row),
            patient=table.filled(row, "case"),
            label=label,
            covariates={"birads": birads, "side": table.filled(row, "side")},
        )


def device_name(text: str) -> str:
    """The device without its probe: "GE Logiq 7 @10-14MHz" is "GE Logiq 7"."""
    return " ".join(text.partition("@")[0].split())


def find_folder(data: str | None) -> Path:
    """The folder that `--data` means (the folder, or its bus_data.csv)."""
    remedy = f"Give the folder that holds {CSV}, Images/ and Masks/ with --data."
    if not data:
        raise DataError("data set 'bus-bra' needs its folder.", remedy=remedy)
    folder = Path(data).expanduser()
    if folder.name == CSV:
        folder = folder.parent
    if not folder.is_dir():
        raise DataError("the folder does not exist.", file=folder.name, remedy=remedy)
    missing = [name for name in (CSV, "Images", "Masks") if not (folder / name).exists()]
    if missing:
        raise DataError(f"the folder lacks {' and '.join(missing)}.", file=folder.name, remedy=remedy)
    return folder


def _maker(device: str, table: Table, row: Row) -> str:
    for maker in MAKERS:
        if device == maker or device.startswith(f"{maker} "):
            return maker
    raise table.error(f"the maker of '{device}' is not known.", row, "device", "Use batch=device, or delete the row.")


def _size_note(reader: FileReader, sample: Sample, table: Table, row: Row) -> str:
    """A note when an image is not of the size that the table states.

    Not an error, because the published table itself is wrong for bus_0856-l; the mask's size is checked against the
    image when it is read.
    """
    try:
        with Pillow.open(reader.locate(sample.image, "image")) as image:
            width, height = image.size
    except OSError as error:
        problem = f"'{sample.image}': the image cannot be decoded."
        raise table.error(problem, row, "image", "Download it again.") from error
    if (number(row["width"]), number(row["height"])) == (width, height):
        return ""
    stated = f"{row['width']} x {row['height']}"
    return f"{sample.id} is {width} x {height} pixels (width x height); {CSV} says {stated}"
