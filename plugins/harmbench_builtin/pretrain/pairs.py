"""Pretraining images of one's own that come in pairs: the same thing on two scanners, pixel by pixel in one place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harmbench.data import ImageSet
from harmbench.errors import DataError
from harmbench.progress import ProgressFunction, no_progress
from harmbench_builtin.pretrain.data import SIZE, from_image_set
from harmbench_builtin.pretrain.images import PretrainingImages

OVERLAP = 0.9
"""Least share of what either image of a pair shows that the other one has to show, too."""


def from_paired_image_set(
    images: ImageSet, *, size: int = SIZE, progress: ProgressFunction = no_progress
) -> PretrainingImages:
    """The images of a data set that share a pairing key; of three or more with one key the first two.

    An image without a key is left out and named, and so is a pair of which one image cannot be read.

    Raises
    ------
    DataError
        There is no pair, or the images of a pair lie in different places: their sectors overlap by less than 90 %.
        (Where sectors agree, alignment is the user's care.)
    """
    members: dict[str, list[int]] = {}
    alone: list[tuple[str, str]] = []
    for index, sample in enumerate(images.samples):
        if sample.pair:
            members.setdefault(sample.pair, []).append(index)
        else:
            alone.append((sample.id, "the image is of no pair."))
    pairs = [(key, own[0], own[1]) for key, own in members.items() if len(own) > 1]
    if not pairs:
        raise DataError(
            f"the images of '{images.name}' do not come in pairs.",
            file=images.file or None,
            column="pair",
            remedy="Give the two images of one object the same key, or use --set views=scanner.",
        )
    first = from_image_set(images.subset([a for _, a, _ in pairs]), size=size, progress=progress)
    second = from_image_set(images.subset([b for _, _, b in pairs]), size=size, progress=progress)
    where = [{id_: row for row, id_ in enumerate(side.ids)} for side in (first, second)]
    rows: list[tuple[int, int]] = []
    for key, a, b in pairs:
        ids = (images.samples[a].id, images.samples[b].id)
        if ids[0] not in where[0] or ids[1] not in where[1]:
            alone += [(id_, "the other image of the pair cannot be used.") for id_, at in zip(ids, where, strict=True)
                      if id_ in at]  # fmt: skip
            continue
        row = (where[0][ids[0]], where[1][ids[1]])
        seen, also = first.sector[row[0]], second.sector[row[1]]
        overlap = float((seen & also).sum() / max(1, (seen | also).sum()))
        if overlap < OVERLAP:
            raise DataError(
                f"the images '{ids[0]}' and '{ids[1]}' of pair '{key}' are not aligned: what they show overlaps by "
                f"{overlap:.0%}.",
                file=images.file or None,
                column="pair",
                remedy="Bring both to one pixel grid first, or use --set views=scanner.",
            )
        rows.append(row)
    if not rows:
        raise DataError(f"no pair of '{images.name}' can be used.", file=images.file or None)
    one, other = (np.array(column) for column in zip(*rows, strict=True))
    return replace(
        first,
        pixels=first.pixels[one],
        sector=first.sector[one],
        ids=tuple(first.ids[i] for i in one),
        patient_ids=tuple(first.patient_ids[i] for i in one),
        content_ids=tuple(first.content_ids[i] for i in one),
        skipped=(*first.skipped, *second.skipped, *alone),
        pixels_b=second.pixels[other],
        sector_b=second.sector[other],
        content_ids_b=tuple(second.content_ids[i] for i in other),
    )
