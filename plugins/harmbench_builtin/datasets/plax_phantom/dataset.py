"""Data set `plax-phantom`: generated on first use, read from its folder afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harmbench.components import DatasetContext
from harmbench.data import ImageSet
from harmbench.errors import DataError, UsageError
from harmbench.progress import ProgressFunction, no_progress
from harmbench.run.keys import package_digest
from harmbench_builtin.datasets.files import FileReader
from harmbench_builtin.datasets.plax_phantom.anatomy import CLASSES
from harmbench_builtin.datasets.plax_phantom.cohort import Parameters
from harmbench_builtin.datasets.plax_phantom.folder import patient_scope, read_folder, remove_damaged
from harmbench_builtin.datasets.plax_phantom.generate import NOTES, digest, generate


class PlaxPhantom:
    """Simulated parasternal long-axis echo of hearts with HCM or HHD on a GE-like and a Philips-like scanner.

    Parameters
    ----------
    **parameters
        Those of `cohort.Parameters`.

    Raises
    ------
    UsageError
        A parameter is unknown or out of its range.
    """

    def __init__(self, **parameters: Any) -> None:
        self.parameters = Parameters.of(parameters)

    def folder(self, cache: str) -> Path:
        """Where the images of these parameters, made by this very code, lie in a cache folder."""
        return Path(cache) / f"plax-phantom-{digest(self.parameters)[:16]}-{package_digest(__name__)[:8]}"

    def generate(self, folder: Path, n_jobs: int = 1, progress: ProgressFunction = no_progress) -> Path:
        """Write the images, masks and manifest into a new folder of the user's (`harmbench data generate`)."""
        return generate(folder, self.parameters, n_jobs, progress)

    def load(self, context: DatasetContext) -> ImageSet:
        """The images; generated into ``context.cache`` unless they are there already.

        Raises
        ------
        DataError
            The cache folder cannot be written.
        UsageError
            `--data` was given, or no cache folder.
        """
        if context.data:
            raise UsageError(
                "plax-phantom generates its images and takes no --data; to read a generated folder, use the data set "
                "'image-folder'."
            )
        if not context.cache:
            raise UsageError("plax-phantom needs a cache folder to generate its images into (--cache).")
        folder = self.folder(context.cache)
        samples = read_folder(folder)
        if samples is None:
            remove_damaged(folder)
            generate(folder, self.parameters, context.n_jobs, context.progress)
            samples = read_folder(folder)
        if samples is None:
            raise DataError(
                "files of the generated data set have gone.", file=folder, remedy="Delete the folder and run again."
            )
        return ImageSet(
            name="plax-phantom",
            samples=samples,
            reader=FileReader(str(folder)),
            classes=CLASSES,
            synthetic=True,
            notes=NOTES,
            patient_scope=patient_scope(self.parameters.seed),
        )
