"""Write PyRadiomics' values of all cases to `pyradiomics.npz`, with the versions that gave them.

    PYTHONPATH=.:plugins:tests python -m golden.make_pyradiomics

Values are those of `RadiomicsFeatureExtractor.execute` on a float64 volume of one slice with `force2D`. Run it again
only when `cases.py` has changed, and say in the commit which cases; a value that moved for any other reason is a
finding, not a new reference.
"""

from __future__ import annotations

import json
import logging
import platform
from importlib.metadata import packages_distributions, version
from pathlib import Path

import numpy as np
import radiomics
import SimpleITK as sitk
from radiomics.featureextractor import RadiomicsFeatureExtractor

from golden.cases import Case, cases

FILE = Path(__file__).with_name("pyradiomics.npz")
CLASSES = ("shape2D", "firstorder", "glcm", "glrlm", "glszm", "gldm", "ngtdm")
SETTINGS = {"bin_count": "binCount", "bin_width": "binWidth", "symmetrical_glcm": "symmetricalGLCM"}


def extractor(settings: dict[str, float]) -> RadiomicsFeatureExtractor:
    """PyRadiomics with our settings by its own names, all classes that exist in 2-D."""
    theirs = {SETTINGS[name]: value for name, value in settings.items() if name in SETTINGS}
    if "distance" in settings:
        theirs["distances"] = [settings["distance"]]
    made = RadiomicsFeatureExtractor(force2D=True, force2Ddimension=0, additionalInfo=False, **theirs)
    made.disableAllFeatures()
    for name in CLASSES:
        made.enableFeatureClassByName(name)
    return made


def execute(
    engine: RadiomicsFeatureExtractor, pixels: np.ndarray, mask: np.ndarray, spacing: tuple[float, float]
) -> dict[str, float]:
    """`<class>_<Feature>` to value, as `execute` gives them."""
    volumes = [sitk.GetImageFromArray(a[None]) for a in (pixels.astype(np.float64), mask.astype(np.uint8))]
    for volume in volumes:
        volume.SetSpacing((spacing[1], spacing[0], 1.0))
    return {name.removeprefix("original_"): float(value) for name, value in engine.execute(*volumes).items()}


def values(case: Case) -> tuple[list[str], np.ndarray]:
    """The features' names, and (K, 102) values."""
    engine = extractor(case.settings)
    found = [execute(engine, pixels, mask, case.spacing) for pixels, mask in zip(case.maps, case.masks, strict=True)]
    names = list(found[0])
    return names, np.array([[row[name] for name in names] for row in found])


def main() -> None:
    logging.getLogger("radiomics").setLevel(logging.CRITICAL)
    tables, digests, columns = {}, {}, []
    for case in cases():
        columns, tables[case.name] = values(case)
        digests[case.name] = case.digest()
        print(f"{case.name}: {len(case.maps)} maps")
    versions = {name: version(name) for name in ("numpy", "SimpleITK", "PyWavelets")}
    versions |= {name: version(name) for name in set(packages_distributions()["radiomics"])}
    versions |= {"radiomics.__version__": radiomics.__version__, "python": platform.python_version()}
    about = json.dumps({"versions": versions, "names": columns, "digests": digests}, indent=1, sort_keys=True)
    np.savez_compressed(FILE, about=np.array(about), **tables)
    print(f"{FILE.name}: {sum(map(len, tables.values()))} maps, {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
