"""The compiled parts; everything else about the package is in pyproject.toml.

They are optional: where there is no C compiler the installation still succeeds and NumPy computes the same.
"""

import sys

from setuptools import Extension, setup

# Fused multiply-add would round differently from machine to machine, and from NumPy.
FLAGS = [] if sys.platform == "win32" else ["-O3", "-ffp-contract=off"]

setup(
    ext_modules=[
        Extension(
            "harmbench_builtin.evaluators._forest",
            ["plugins/harmbench_builtin/evaluators/_forest.c"],
            extra_compile_args=FLAGS,
            py_limited_api=True,
            optional=True,
        ),
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
