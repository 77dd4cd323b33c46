from __future__ import annotations

import subprocess
import sys

from harmbench.seeding import rng, seed


def test_a_seed_depends_on_names_and_values_of_its_axes_and_not_on_their_order():
    assert seed(0, a=1, b=2) == seed(0, b=2, a=1)
    assert len({seed(0, a=1), seed(1, a=1), seed(0, a=2), seed(0, b=1), seed(0, a="1")}) == 5


def test_a_seed_is_the_same_in_another_process():
    code = "from harmbench.seeding import seed; print(seed(7, split='cv', repeat=0))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == seed(7, split="cv", repeat=0)


def test_generators_of_different_axes_are_independent():
    assert rng(0, fold=0).normal() != rng(0, fold=1).normal()
    assert rng(0, fold=0).normal() == rng(0, fold=0).normal()
