"""Imports without garbage collection."""

import gc

import pytest

from cluster.runtime.cold_start import cold_start


def load(loaded: list[object]) -> None:
    with cold_start():
        assert not gc.isenabled()
        loaded += [[] for _ in range(100)]
        raise ImportError


def test_loaded_objects_are_never_traversed() -> None:
    loaded: list[object] = []
    try:
        with pytest.raises(ImportError):
            load(loaded)
        assert gc.isenabled()
        assert gc.get_freeze_count() >= len(loaded) == 100
        assert not any(each is loaded[0] for each in gc.get_objects())
    finally:
        gc.unfreeze()
