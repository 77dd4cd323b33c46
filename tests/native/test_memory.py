"""The compiled parts under AddressSanitizer, UndefinedBehaviorSanitizer and valgrind; see README.md."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "plugins/harmbench_builtin/extractors/fast2d/csrc"
X86 = platform.machine().lower() in ("x86_64", "amd64")
COMPILER = shutil.which("gcc")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(COMPILER is None, reason="needs gcc")]


def _library(name: str) -> str:
    found = subprocess.run(
        ["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if not Path(found).is_file():
        pytest.skip(f"the compiler has no {name}")
    return found


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the compiled parts, built with the sanitizers."""
    folder = tmp_path_factory.mktemp("checked")
    checks = "-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g"
    subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--force",
         "--build-temp", str(folder / "temp"), "--build-lib", str(folder / "lib")],
        cwd=ROOT, env={**os.environ, "CFLAGS": checks}, check=True, capture_output=True,
    )  # fmt: skip
    return folder / "lib"


@pytest.mark.parametrize(
    ("script", "part"),
    [("exercise.py", "_engine"), ("exercise_divergence.py", "_divergence")],
    ids=["features", "divergence"],
)
def test_sanitizers_find_nothing_on_anything_that_is_given(checked: Path, script: str, part: str) -> None:
    libraries = f"{_library('libasan.so')} {_library('libubsan.so')}"
    (built,) = checked.rglob(f"{part}*.so")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "plugins")]),
        "LD_PRELOAD": libraries,
        # CPython keeps memory on purpose; what the engine leaks is found by valgrind below.
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
    path = Path(__file__).with_name(script)
    done = subprocess.run([sys.executable, str(path), str(built)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "runtime error" not in done.stderr
    assert done.stdout.startswith("exercised")


def test_valgrind_finds_no_error_and_no_leak(tmp_path: Path) -> None:
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed")
    flags = [
        "-O2",
        "-g",
        "-std=gnu11",
        "-ffp-contract=off",
        "-fno-trapping-math",
        "-fno-math-errno",
        "-Wno-psabi",
        f"-I{SOURCES}",
    ]
    by_set = (
        {"isa_baseline.c": [], "isa_avx2.c": ["-mavx2", "-mbmi", "-mbmi2", "-mpopcnt"]}
        if X86
        else {"isa_baseline.c": []}
    )
    shared = ("plan", "shape2d", "grid", "work", "general", "general_glcm", "lanczos", "sort")
    sources = [(SOURCES / f"{name}.c", []) for name in shared] + [
        (SOURCES / name, extra) for name, extra in by_set.items()
    ]
    sources.append((Path(__file__).with_name("driver.c"), []))
    objects = []
    for source, extra in sources:
        objects.append(str(tmp_path / f"{source.stem}.o"))
        define = ["-DFAST2D_X86"] if X86 else []
        subprocess.run(["gcc", *flags, *define, *extra, "-c", str(source), "-o", objects[-1]], check=True)
    program = str(tmp_path / "driver")
    subprocess.run(["gcc", *objects, "-o", program, "-lm"], check=True)
    done = subprocess.run(
        ["valgrind", "-q", "--error-exitcode=9", "--leak-check=full", program], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.startswith("done")
