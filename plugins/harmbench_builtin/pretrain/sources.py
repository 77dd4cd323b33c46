"""Where the images of a training come from: the phantom, a folder, a manifest, or a data set that a plugin knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from harmbench.data import ImageSet
from harmbench.errors import DataError, HarmbenchError, UsageError
from harmbench.progress import ProgressFunction
from harmbench_builtin.pretrain import data
from harmbench_builtin.pretrain.images import PretrainingImages
from harmbench_builtin.pretrain.settings import Settings

PHANTOM_IMAGES = 512
_MANIFEST = "manifest.csv"


@dataclass(frozen=True)
class Source:
    """What the command line says about the images.

    Parameters
    ----------
    data : str
        A folder or a manifest; with `dataset`, what that data set needs.
    dataset : str
        A data set by name; "" for none.
    parameters : tuple of str
        "parameter=value" of the data set.
    plugins : tuple of str
        Loose plugin files to look for it in, too.
    count : int or None
        How many phantom images; None for the usual number, and where the images are not the phantom's.
    scanners : str
        Of the phantom images: "virtual" or a mix.
    """

    data: str = ""
    dataset: str = ""
    parameters: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    count: int | None = None
    scanners: str = "virtual"

    def __post_init__(self) -> None:
        if self.data or self.dataset:
            given = "--dataset" if self.dataset else "--data"
            for option, wanted in (("--scanners", self.scanners != "virtual"), ("--images", self.count is not None)):
                if wanted:
                    raise UsageError(f"{option} is about generated phantom images; it does not go with {given}.")


def read(source: Source, settings: Settings, files: Path, report: ProgressFunction) -> PretrainingImages:
    """The images, large enough for the crops.

    Parameters
    ----------
    source : Source
    settings : Settings
    files : Path
        Folder for images that memory should not hold.
    report : callable
        progress(stage, done, total)

    Raises
    ------
    DataError
        There is nothing to be trained on.
    UsageError
        No such data set, or it needs something else.
    """
    from harmbench.run.run import default_jobs

    pairs = settings.consistency > 0 and settings.views == "pairs"
    # A crop that is larger than what was stored would only be blurred.
    size = max(data.SIZE, settings.image_size)
    if not source.data and not source.dataset:
        count = PHANTOM_IMAGES if source.count is None else source.count
        with _workers_missed():
            return data.from_phantom(
                count,
                settings.seed,
                size=size,
                n_jobs=default_jobs(),
                progress=report,
                pairs=pairs,
                scanners=source.scanners,
            )
    in_memory = 0 if settings.residence == "memory-map" else data.IN_MEMORY
    licence = ""
    if source.dataset:
        found, licence = _data_set(source, settings.seed, default_jobs(), report)
    else:
        manifest = _manifest(Path(source.data).expanduser())
        if manifest is None:
            folder = Path(source.data).expanduser()
            return data.from_folder(folder, size=size, progress=report, files=files, in_memory=in_memory)
        from harmbench_builtin.pretrain.listed import images_of_manifest

        found = images_of_manifest(manifest)
    if pairs:
        from harmbench_builtin.pretrain.pairs import from_paired_image_set

        images = from_paired_image_set(found, size=size, progress=report)
    else:
        images = data.from_image_set(found, size=size, progress=report, files=files, in_memory=in_memory)
    return replace(images, licence=licence) if licence else images


@contextmanager
def _workers_missed() -> Iterator[None]:
    """A worker that was killed is nobody's mistake in a program: said as what it is, with what to do."""
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    try:
        yield
    except TerminatedWorkerError as error:
        raise HarmbenchError(
            "A worker process that generates phantom images was killed (most often for want of memory). Checkpoints, "
            "where there are any, are whole: run the same command again, with fewer --images if it happens again."
        ) from error


def _manifest(path: Path) -> Path | None:
    """The manifest that a path means; None for a folder without one."""
    if path.is_dir():
        # As in a run: where a manifest says what the images are, the other files (masks!) are none.
        return next((file for file in sorted(path.iterdir()) if file.name.lower() == _MANIFEST), None)
    if path.is_file() and path.suffix.lower() != ".csv":
        raise DataError(
            "this is neither a folder nor a manifest.",
            file=path.name,
            remedy="Give a folder of PNG or JPEG images, or a CSV with a column 'image'.",
        )
    return path if path.suffix.lower() == ".csv" else None


def _data_set(source: Source, seed: int, jobs: int, report: ProgressFunction) -> tuple[ImageSet, str]:
    """The images of a data set, and its licence as its specification says."""
    from harmbench.components import DatasetContext
    from harmbench.methods import component
    from harmbench.plugins import build_registry
    from harmbench.run.cache import cache_folder

    spec = build_registry(source.plugins).datasets.get(source.dataset)
    if spec.needs_data and not source.data:
        raise UsageError(f"Data set '{spec.name}' needs --data: {spec.needs_data}.")
    if source.data and not spec.needs_data:
        raise UsageError(f"Data set '{spec.name}' makes its own data; --data does not go with it.")
    given = dict(text.split("=", 1) for text in source.parameters)
    folder = str(cache_folder() / "datasets")
    context = DatasetContext(seed=seed, n_jobs=jobs, data=source.data or None, cache=folder, progress=report)
    return component(spec, given).build().load(context), spec.licence


def split_settings(texts: Sequence[str], dataset: str) -> tuple[list[str], tuple[str, ...]]:
    """`--set` texts about the training, and those about the data set ("NAME.parameter=value", without the name)."""
    prefix = f"{dataset}."
    own = tuple(text.removeprefix(prefix) for text in texts if dataset and text.startswith(prefix) and "=" in text)
    return [text for text in texts if not (dataset and text.startswith(prefix) and "=" in text)], own
