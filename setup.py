"""Builds the compiled parts; all else about the package is in pyproject.toml.

`extractors.fast2d._engine` (features), `evaluators._divergence` (JSD of many replicates) and `evaluators._forest`
(Boruta's forest) are optional: without a C compiler the installation succeeds, and slower code that gives the same
numbers serves. Vector code is compiled once per instruction set, each with its own flags, and chosen when it is
loaded; nothing is compiled for the building machine in particular. The limited API makes one wheel serve every Python
from 3.11 on.

Set HARMBENCH_CFLAGS to add compiler flags (the sanitizer tests do).
"""

from __future__ import annotations

import platform
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

SOURCES = Path("plugins/harmbench_builtin/extractors/fast2d/csrc")
SHARED = (
    "module.c",
    "plan.c",
    "shape2d.c",
    "grid.c",
    "work.c",
    "general.c",
    "general_glcm.c",
    "lanczos.c",
    "sort.c",
    "limit.c",
)
DIVERGENCE = Path("plugins/harmbench_builtin/evaluators/csrc")
X86 = platform.machine().lower() in ("x86_64", "amd64")
AVX2 = ["-mavx2", "-mbmi", "-mbmi2", "-mlzcnt", "-mpopcnt"]
AVX512 = [*AVX2, "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq"]
SETS = {"baseline": [], "avx2": AVX2, "avx512": AVX512}
BY_SET = {f"{stem}_{name}.c": flags for stem in ("isa", "divergence") for name, flags in SETS.items()}
FLAGS = [
    "-O3",
    "-std=gnu11",
    # No contraction and no reassociation: grey-level edges must round as numpy's, and every set give the same bits.
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fvisibility=hidden",
    "-Wno-psabi",
]


class BuildPerFile(build_ext):
    """build_ext with flags that depend on the source file, and a missing compiler told in one line."""

    def build_extension(self, ext: Extension) -> None:
        compile_one = getattr(self.compiler, "_compile", None)
        if compile_one is None:  # MSVC has none of the GNU vector extensions either
            raise RuntimeError("the fast2d extension needs GCC or Clang")

        def with_flags(obj, src, ext_name, cc_args, extra, pp):  # type: ignore[no-untyped-def]
            compile_one(obj, src, ext_name, cc_args, [*extra, *BY_SET.get(Path(src).name, [])], pp)

        self.compiler._compile = with_flags
        try:
            super().build_extension(ext)
        finally:
            self.compiler._compile = compile_one


class WheelForAll(bdist_wheel):
    """Tags the wheel for the limited API."""

    def finalize_options(self) -> None:
        self.py_limited_api = "cp311"
        super().finalize_options()


sets = list(SETS) if X86 else ["baseline"]
setup(
    ext_modules=[
        Extension(
            "harmbench_builtin.extractors.fast2d._engine",
            sources=[str(SOURCES / name) for name in (*SHARED, *(f"isa_{name}.c" for name in sets))],
            depends=sorted(str(path) for path in SOURCES.glob("*")),
            define_macros=[("Py_LIMITED_API", "0x030B0000"), *([("FAST2D_X86", "1")] if X86 else [])],
            extra_compile_args=FLAGS,
            py_limited_api=True,
            optional=True,
        ),
        Extension(
            "harmbench_builtin.evaluators._divergence",
            sources=[str(DIVERGENCE / name) for name in ("divergence.c", *(f"divergence_{name}.c" for name in sets))],
            depends=sorted(str(path) for path in DIVERGENCE.glob("*")),
            define_macros=[("Py_LIMITED_API", "0x030B0000"), *([("DIVERGENCE_X86", "1")] if X86 else [])],
            extra_compile_args=FLAGS,
            py_limited_api=True,
            optional=True,
        ),
        Extension(
            "harmbench_builtin.evaluators._forest",
            sources=["plugins/harmbench_builtin/evaluators/_forest.c"],
            # Fused multiply-add would round differently from machine to machine, and from NumPy.
            extra_compile_args=["-O3", "-ffp-contract=off"],
            py_limited_api=True,
            optional=True,
        ),
    ],
    cmdclass={"build_ext": BuildPerFile, "bdist_wheel": WheelForAll},
)
