"""Random numbers of the phantom: one independent generator for each named thing that is drawn.

A generator is named by stream, heart, scanner and stage, so the image of heart 17 is the same whether 20 or 2000 hearts
are made, in which order, and by how many processes.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from harmbench.seeding import Axis, seed

Stream = Literal["cohort", "virtual"]
_STREAM_NUMBER = {"cohort": 0, "virtual": 1}


def generator(base: int, stream: Stream, **axes: Axis) -> np.random.Generator:
    """The generator of what `axes` name.

    Parameters
    ----------
    base : int
        The data set's seed.
    stream : {"cohort", "virtual"}
        Hearts that are scored, or hearts for pretraining. The stream is a word of the seed sequence of its own, so the
        two never share a seed, not even by a collision of hashes.
    **axes
        What is drawn, such as ``heart=3, stage="tissue"``.
    """
    # One hash word has 32 bits; two make a chance collision among 10**6 generators as rare as 3 in 10**8.
    words = [seed(base, word=word, **axes) for word in (0, 1)]
    return np.random.default_rng([_STREAM_NUMBER[stream], *words])
