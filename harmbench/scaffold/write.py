"""Writing a new plugin package."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from string import Template

from harmbench import __version__
from harmbench.errors import DataError, UsageError

TEMPLATES = Path(__file__).with_name("templates")
LICENCES = ("MIT", "BSD-3-Clause", "Apache-2.0", "none")
KINDS = {
    "feature": (
        "method",
        "a harmonization method",
        "Median and spread of each manufacturer brought to the common ones",
    ),
    "image": ("method", "a harmonization method", "Grey level of every image brought to that of the training images"),
    "extractor": ("extractor", "a feature extractor", "Five first-order features of every map"),
    "evaluator": ("evaluator", "an evaluator", "Share of the features' variance that lies between manufacturers"),
    "dataset": ("dataset", "a data set", "Discs of two sizes in speckle, seen by two scanners"),
}
"""Of each kind: the module that holds the code, what it is in words, and what the example does."""
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def check_name(name: str, taken: Iterable[str] = ()) -> None:
    """Refuse what cannot name a component.

    Raises
    ------
    UsageError
        Not kebab-case, a word that is no Python module, the prefix `harmbench-`, or registered already.
    """
    if not _NAME.fullmatch(name):
        better = re.sub(r"[^a-z0-9]+", "-", re.sub(r"([a-z0-9])([A-Z])", r"\1-\2", name).lower()).strip("-")
        hint = f" Try '{better}'." if _NAME.fullmatch(better) else ""
        raise UsageError(f"'{name}' cannot name a component: small letters, digits and single hyphens.{hint}")
    if name.startswith("harmbench-") or name == "harmbench":
        raise UsageError(f"Leave 'harmbench-' out of '{name}': the package gets it by itself.")
    if keyword.iskeyword(name):
        raise UsageError(f"'{name}' is a word of Python and cannot name a module; choose another.")
    if name in set(taken):
        raise UsageError(f"'{name}' is registered already (harmbench info {name}); choose another name.")


def write_package(kind: str, name: str, parent: Path, licence: str, author: str) -> Path:
    """Write an installable plugin package and return its folder.

    Parameters
    ----------
    kind : str
        A key of `KINDS`.
    name : str
        The component's name; the package is called harmbench-<name>.
    parent : Path
        The folder in which the package's folder is made.
    licence : {"MIT", "BSD-3-Clause", "Apache-2.0", "none"}
    author : str

    Raises
    ------
    UsageError
        The folder exists, or the author's name cannot be written into TOML.
    DataError
        It cannot be written.
    """
    if any(character in author for character in '"\\\n'):
        raise UsageError(f"--author {author!r} must hold no quotes, backslashes or line breaks: it goes into TOML.")
    module, description, summary = KINDS[kind]
    identifier = name.replace("-", "_")
    words = name.split("-")
    known = {
        "name": name,
        "identifier": identifier,
        "distribution": f"harmbench-{name}",
        "package": f"harmbench_{identifier}",
        "class_name": "".join(word.capitalize() for word in words),
        "metric": identifier,
        "title": " ".join(words).capitalize(),
        "summary": summary,
        "words": description,
        "module": module,
        "author": author,
        "year": str(datetime.now(UTC).year),
        "harmbench_version": __version__,
        "licence_lines": "" if licence == "none" else f'license = "{licence}"\nlicense-files = ["LICENSE"]\n',
        "licence_words": "" if licence == "none" else f"\nLicence: {licence}, see `LICENSE`.\n",
    }
    known["how"] = Template((TEMPLATES / kind / "how.md.txt").read_text(encoding="utf-8")).substitute(known)
    root = parent / known["distribution"]
    if root.exists():
        raise UsageError(f"{root} exists already; choose another name, another --dir, or move it away.")
    package = f"src/{known['package']}"
    files = {
        "pyproject.toml": "common/pyproject.toml.txt",
        "README.md": "common/README.md.txt",
        ".gitignore": "common/gitignore.txt",
        f"{package}/__init__.py": "common/init.py.txt",
        f"{package}/plugin.py": f"{kind}/plugin.py.txt",
        f"{package}/{module}.py": f"{kind}/{module}.py.txt",
        f"tests/test_{identifier}.py": f"{kind}/test.py.txt",
    }
    if licence != "none":
        files["LICENSE"] = f"licences/{licence}.txt"
    try:
        for path, template in files.items():
            source = (TEMPLATES / template).read_text(encoding="utf-8")
            # The Apache licence holds placeholders of its own, which are not ours to fill.
            filled = source if licence == "Apache-2.0" and path == "LICENSE" else Template(source).substitute(known)
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(filled.rstrip("\n") + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"cannot be written: {error.strerror or error}.", file=root, remedy="Choose another --dir."
        ) from error
    return root
