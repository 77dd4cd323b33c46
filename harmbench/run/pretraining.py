"""Were test patients in a method's pretraining? Asked of every method that comes with weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harmbench.components import Overlap
from harmbench.data import ImageSet
from harmbench.methods import Component, Method
from harmbench.run.ids import Pseudonyms
from harmbench.run.keys import canonical
from harmbench.run.provenance import without_paths
from harmbench.splits import Fold


class PretrainingCheck:
    """Asks the stages of methods which test patients they were trained on, each stage once.

    Parameters
    ----------
    images : ImageSet
        All images; those with the split "paired" are in no fold, but their patients may be.
    folds : mapping of repeat to folds
        Their positions count the images that are not "paired".
    hidden : Pseudonyms
        Of these images: what a stage says may quote ids.
    """

    def __init__(self, images: ImageSet, folds: Mapping[int, Sequence[Fold]], hidden: Pseudonyms) -> None:
        self._hidden = hidden
        scored = [s for s in images.samples if s.split != "paired"]
        self._tested: dict[int, ImageSet] = {}
        by_patients: dict[frozenset[str], ImageSet] = {}
        for repeat, many in folds.items():
            patients = frozenset(scored[int(i)].patient for fold in many for i in fold.test)
            if patients not in by_patients:
                kept = images.subset([i for i, s in enumerate(images.samples) if s.patient in patients])
                # What a method is asked here is none of the labels' business.
                bare = tuple(replace(s, label="") for s in kept.samples)
                by_patients[patients] = replace(kept, samples=bare)
            self._tested[repeat] = by_patients[patients]
        self._known: dict[tuple[str, int], dict[str, Any] | None] = {}

    def of(self, method: Method, repeat: int) -> list[dict[str, Any]]:
        """What the stages of a method answer, as JSON values; a stage without weights of its own says nothing.

        Returns
        -------
        list of dict
            `stage`; `source`; `listed`; `test_patients`, `seen_patients`, `seen_images` (numbers; names are not
            written down); `problem`, "" unless the question failed.
        """
        found = (self._of(stage, repeat) for stage in method.stages)
        return [facts for facts in found if facts is not None]

    def _of(self, stage: Component, repeat: int) -> dict[str, Any] | None:
        key = (canonical([stage.spec.target, stage.params]), id(self._tested[repeat]))
        if key not in self._known:
            self._known[key] = _facts(stage, self._tested[repeat], self._hidden)
        return self._known[key]


def _facts(stage: Component, images: ImageSet, hidden: Pseudonyms) -> dict[str, Any] | None:
    try:
        built = stage.build()
    except Exception:  # its cell reports it
        return None
    if not hasattr(built, "trained_on"):
        return None
    problem = ""
    try:
        overlap: Overlap | None = built.trained_on(images)
    except Exception as error:  # a check that breaks must not cost the method its result, but must be seen
        overlap, problem = Overlap(listed=False), hidden.text(f"{type(error).__name__}: {error}")
    if overlap is None:
        return None
    return {
        "stage": stage.spec.name,
        "source": hidden.text(overlap.source),
        "listed": overlap.listed,
        "test_patients": len({s.patient for s in images.samples}),
        "seen_patients": len(overlap.patients),
        "seen_images": len(overlap.images),
        "problem": without_paths(problem),
    }
