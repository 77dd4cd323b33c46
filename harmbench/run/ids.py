"""Patient and sample ids as they may be written down.

Evaluators already get these, not the real ones: resamples and permutations depend on the order of the ids, and what is
drawn must be a function of what a run folder holds. Rows stand in their order too (`in_order_of_pseudonyms`), and folds
are dealt by it: the order of somebody's list would otherwise tell who is who.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from harmbench.data import FeatureTable, ImageSet, Sample, Texts

HIDDEN_COLUMNS = ("sample", "patient", "pair")
SHORT = 3
"""Ids up to this length are words besides ("12", "GE"): in a text they count only between spaces or signs."""
_START = re.compile(r"(?<![^\W_])[^\W_]")


@lru_cache(maxsize=200_000)
def hashed(name: str, key: str) -> str:
    """A patient or sample id as it may be written down."""
    return hmac.new(key.encode(), name.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:16]


def key_of(plan: Mapping[str, Any]) -> str:
    """What the ids of a run folder are hashed with: its own key, in folders of schema 1 and 2 the data's revision."""
    return str(plan["id_key"] or plan["data"]["revision"])


@dataclass(frozen=True)
class Pseudonyms:
    """Hashed ids of one data set.

    Parameters
    ----------
    key : str
        A digest of the data that is not published.
    ids : frozenset of str
        All sample, patient and pairing ids.
    files : mapping of str to str
        What else names a sample in a text, to the sample's id.
    """

    key: str
    ids: frozenset[str] = frozenset()
    files: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_images(cls, images: ImageSet, key: str) -> Pseudonyms:
        """Those of an image set, which know its ids and its files in texts."""
        ids = {name for s in images.samples for name in (s.id, s.patient, s.pair) if name}
        return cls(key, frozenset(ids), dict(_files(images)))

    def of(self, name: str) -> str:
        """The pseudonym of an id; "" stays "" (no pairing key)."""
        return hashed(name, self.key) if name else ""

    def texts(self, names: Any) -> Texts:
        """Ids, hashed."""
        return np.array([self.of(str(name)) for name in np.asarray(names).tolist()], dtype=str)

    def table(self, table: FeatureTable) -> FeatureTable:
        """The same table with its sample, patient and pairing ids hashed."""
        return replace(
            table,
            samples=self.texts(table.samples),
            patient=self.texts(table.patient),
            pair=None if table.pair is None else self.texts(table.pair),
        )

    def sample(self, sample: Sample) -> Sample:
        """The same sample with its ids hashed."""
        return replace(sample, id=self.of(sample.id), patient=self.of(sample.patient), pair=self.of(sample.pair))

    def columns(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """A long table with its columns `sample`, `patient` and `pair` hashed."""
        return {name: self.texts(column) if name in HIDDEN_COLUMNS else column for name, column in columns.items()}

    def foreign(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """A table of somebody who knows the real ids: hashed in whatever column they stand, or name one."""
        found: dict[str, Any] = {}
        for name, column in columns.items():
            values = np.asarray(column)
            if name in HIDDEN_COLUMNS:
                found[name] = self.texts(values)
            elif values.dtype.kind in "fiub":
                found[self._value(name)] = column
            else:
                found[self._value(name)] = [self._value(v) if isinstance(v, str) else v for v in values.tolist()]
        return found

    def _value(self, text: str) -> str:
        return self.of(text) if text in self.ids else self.text(text, words=False)

    def text(self, text: str, words: bool = True) -> str:
        """A text with all ids and file names in it hashed: the longest first, and whole ones only.

        Parameters
        ----------
        text : str
        words : bool
            False: ids that may be words besides (up to three plain letters or digits) are left alone.
        """
        kept, done = [], 0
        for start in self._starts(text):
            if start < done:
                continue
            for n in self._lengths:
                found = text[start : start + n]
                pseudonym = self._spelled.get(found) if words or n > SHORT or not found.isascii() else None
                if pseudonym is not None and _whole(text, start, start + n):
                    kept += [text[done:start], pseudonym]
                    done = start + n
                    break
        return "".join([*kept, text[done:]])

    @cached_property
    def _spelled(self) -> dict[str, str]:
        """Every way in which messages spell an id or a file, to its pseudonym."""
        files = {spelled: self.of(name) for file, name in self.files.items() for spelled in _spellings(file)}
        return files | {spelled: self.of(name) for name in sorted(self.ids) for spelled in _spellings(name)}

    @cached_property
    def _lengths(self) -> list[int]:
        return sorted({len(name) for name in self._spelled}, reverse=True)

    def _starts(self, text: str) -> Iterable[int]:
        """Where an id may begin: where a word does, and wherever a sign stands with which one begins."""
        odd = {name[0] for name in self._spelled if not name[0].isalnum()}
        found = {match.start() for match in _START.finditer(text)} if self._spelled else set()
        return sorted(found | {i for i, character in enumerate(text) if character in odd} if odd else found)


def _whole(text: str, start: int, end: int) -> bool:
    """Whether no letter or digit goes on where the found id begins or ends with one; a short one stands alone."""
    short = end - start <= SHORT
    left = start > 0 and text[start - 1].isalnum() and (short or text[start].isalnum())
    right = end < len(text) and text[end].isalnum() and (short or text[end - 1].isalnum())
    return not (left or right)


def _spellings(name: str) -> set[str]:
    """As it is, composed and decomposed, and as Python and JSON quote it."""
    forms = {name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)}
    quoted = {form for n in forms for form in (repr(n)[1:-1], ascii(n)[1:-1], json.dumps(n)[1:-1])}
    return {form for form in forms | quoted if form}


def _files(images: ImageSet) -> Iterator[tuple[str, str]]:
    """Files that belong to one sample only, with and without their folder; a mask that all share names nobody."""
    owners = [
        (reference, s.id) for s in images.samples for reference in {s.image, s.mask} if PurePosixPath(reference).suffix
    ]
    names = [(part, who) for reference, who in owners for part in {reference, PurePosixPath(reference).name}]
    shared = Counter(name for name, _ in set(names))
    yield from ((name, who) for name, who in names if shared[name] == 1)


def in_order_of_pseudonyms(images: ImageSet, hidden: Pseudonyms) -> ImageSet:
    """The same images in the order of their hashed ids, which tells nothing of the order of the list they came in."""
    return images.subset(sorted(range(len(images)), key=lambda i: hidden.of(images.samples[i].id)))


def ranked(names: Sequence[str], letter: str) -> dict[str, str]:
    """Numbers in place of ids, in the order of the ids: what is drawn by that order stays the same."""
    known = sorted(set(names))
    width = len(str(len(known)))
    return {name: f"{letter}{i:0{width}d}" for i, name in enumerate(known)}
