from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from harmbench.errors import DataError
from harmbench.run.cache import Cache, write_atomically
from harmbench.run.keys import canonical, digest


def test_equal_keys_find_the_value_and_other_keys_do_not(tmp_path):
    cache = Cache(tmp_path)
    cache.put("features", {"a": 1, "params": {"x": 1.0, "y": "z"}}, values=np.arange(3.0))
    found = cache.get("features", {"params": {"y": "z", "x": 1.0}, "a": 1})
    assert np.array_equal(found["values"], [0.0, 1.0, 2.0])
    assert cache.get("features", {"a": 1, "params": {"x": 1.5, "y": "z"}}) is None
    assert cache.get("names", {"a": 1, "params": {"x": 1.0, "y": "z"}}) is None


def test_types_that_print_alike_do_not_share_an_entry():
    assert digest({"x": 1}) != digest({"x": "1"})
    assert digest({"x": True}) != digest({"x": 1})
    assert canonical({"b": 1, "a": [1, 2]}) == '{"a":[1,2],"b":1}'
    with pytest.raises(TypeError, match="cannot be part of a key"):
        canonical({"x": object()})


def test_a_damaged_entry_counts_as_absent_and_is_removed(tmp_path):
    cache = Cache(tmp_path)
    cache.put("features", {"a": 1}, values=np.arange(1000.0))
    (_, file), *_ = cache.entries()
    file.write_bytes(file.read_bytes()[:500])
    assert cache.get("features", {"a": 1}) is None
    assert not file.exists()


def test_explain_names_the_part_of_the_key_that_differs(tmp_path):
    cache = Cache(tmp_path)
    cache.put("features", {"extractor": {"version": "1", "params": {"bins": 32}}, "sample": "x"}, v=np.zeros(1))
    told = cache.explain("features", {"extractor": {"version": "2", "params": {"bins": 32}}, "sample": "x"})
    assert told == ["extractor.version: '1' stored, '2' wanted"]
    assert cache.explain("other", {}) == ["nothing of this kind is stored"]


def test_clear_removes_what_is_old_enough(tmp_path):
    cache = Cache(tmp_path)
    cache.put("features", {"a": 1}, v=np.zeros(1))
    assert cache.clear(older_than_days=1)[0] == 0
    assert cache.clear()[0] == 1
    assert list(cache.entries()) == []


def test_what_cannot_be_written_is_an_error_with_the_folder_and_a_remedy(tmp_path):
    blocked = tmp_path / "a-file"
    blocked.write_text("in the way")
    with pytest.raises(DataError, match=r"a-file.*cannot be written.*HARMBENCH_CACHE"):
        write_atomically(blocked / "x" / "y.json", b"1")


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full to play a full disk")
def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "x.json"
    write_atomically(target, b"old")
    real = os.fdopen

    def full(handle, mode):
        os.close(handle)
        return FULL.open(mode)

    monkeypatch.setattr(os, "fdopen", full)
    with pytest.raises(DataError, match="No space left"):
        write_atomically(target, b"new" * 10000)
    monkeypatch.setattr(os, "fdopen", real)
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]
