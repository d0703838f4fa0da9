"""What a study has computed: one object a result, written once, in a folder or a bucket.

    format.json            which version laid the store out
    plans/<study>.json     what there is to compute
    trained/<key>.json     where a trial's model lies, and its training metrics
    cells/<key>.parquet    one row an answer
    adaptation/<key>.json  successes after each number of steps
    probes/<key>.json      what can be read off each layer
    running/<key>.json     what somebody is computing
    failed/<key>.json      why something is not there

Studies share a store: what one has computed is there for the others.
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from physrl.errors import DataError, MissingObjectError
from physrl.evaluation.adaptation import AdaptationCurve
from physrl.evaluation.probes import ProbeResult
from physrl.evaluation.result_files import dump_results, parse_results
from physrl.evaluation.results import CellResult
from physrl.evaluation.specs import StudyPlan
from physrl.storage.object_store import ObjectStore, open_store
from physrl.types import Metrics

FORMAT = "physrl-study-2"
"""Of the keys and the columns."""
FORMAT_KEY = "format.json"
PLANS, TRAINED, CELLS, ADAPTATION, PROBES, RUNNING, FAILED = (
    "plans", "trained", "cells", "adaptation", "probes", "running", "failed",
)  # fmt: skip
Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Trained:
    """What became of a trial."""

    key: str
    name: str
    checkpoint: str
    """The folder or s3:// prefix that holds `adapter/` or `model/`."""
    seconds: float
    metrics: tuple[Metrics, ...] = ()
    """Each row with `step`."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a trial, a cell, an adaptation or a probe is not there."""

    key: str
    name: str
    """For people."""
    reason: str
    """One line."""
    tries: int
    time: float
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Running:
    """That somebody computes a trial, a cell, an adaptation or a probe."""

    key: str
    name: str
    time: float
    """Since when, in seconds since 1970: what was killed leaves its mark."""


class CellStore:
    """Results under the keys of what decides them. Nothing that is there is ever overwritten."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @property
    def location(self) -> str:
        return self._store.location

    def save_plan(self, plan: StudyPlan) -> None:
        """Say what there is to compute; a plan of the same name is replaced."""
        self._store.put(f"{PLANS}/{plan.name}.json", _dump(plan))

    def plans(self) -> tuple[StudyPlan, ...]:
        """What the studies that share the store compute, by name.

        Raises:
            DataError: a plan is damaged, or of another version.
        """
        return tuple(self._load(StudyPlan, key) for key in self._store.keys(f"{PLANS}/"))

    def write_cell(self, key: str, result: CellResult) -> bool:
        """Keep a cell; False where it was already there, and stays as it was."""
        return self._keep(f"{CELLS}/{key}.parquet", key, dump_results([result], {"format": FORMAT}))

    def read_cell(self, key: str) -> CellResult | None:
        """A cell, or None where it is not there.

        Raises:
            DataError: it is damaged.
        """
        name = f"{CELLS}/{key}.parquet"
        try:
            (result,), _ = parse_results(self._store.get(name))
        except MissingObjectError:
            return None
        except ValueError as error:
            raise self._damaged(name, str(error)) from None
        return result

    def write_trained(self, trained: Trained) -> bool:
        """Keep where a trial's model lies; False where that was already known.

        Metrics that are not finite are left out: JSON has no words for them.
        """
        rows = tuple(
            {name: value for name, value in row.items() if math.isfinite(value)}
            for row in trained.metrics
        )
        finite = replace(trained, metrics=rows)
        return self._keep(f"{TRAINED}/{trained.key}.json", trained.key, _dump(finite))

    def read_trained(self, key: str) -> Trained | None:
        """Where a trial's model lies; None where it has not been trained."""
        return self._find(Trained, f"{TRAINED}/{key}.json")

    def write_adaptation(self, curve: AdaptationCurve) -> bool:
        """Keep an adaptation; False where it was already there."""
        return self._keep(f"{ADAPTATION}/{curve.key}.json", curve.key, _dump(curve))

    def read_adaptation(self, key: str) -> AdaptationCurve | None:
        """An adaptation, or None where it is not there."""
        return self._find(AdaptationCurve, f"{ADAPTATION}/{key}.json")

    def write_probe(self, result: ProbeResult) -> bool:
        """Keep what was read off a model; False where it was already there."""
        return self._keep(f"{PROBES}/{result.key}.json", result.key, _dump(result))

    def read_probe(self, key: str) -> ProbeResult | None:
        """What was read off a model, or None where it is not there."""
        return self._find(ProbeResult, f"{PROBES}/{key}.json")

    def start(self, key: str, name: str) -> None:
        """Say that something is being computed."""
        self._store.put(f"{RUNNING}/{key}.json", _dump(Running(key, name, time.time())))

    def fail(self, key: str, name: str, reason: str, tries: int) -> None:
        """Say why something is not there; the last reason counts."""
        line = " ".join(reason.split())
        self._store.put(f"{FAILED}/{key}.json", _dump(Failure(key, name, line, tries, time.time())))
        self._store.delete(f"{RUNNING}/{key}.json")

    def done(self) -> frozenset[str]:
        """The keys of all that was computed, of whatever kind."""
        folders = (TRAINED, CELLS, ADAPTATION, PROBES)
        return frozenset(key for folder in folders for key in self._keys(folder))

    def failures(self) -> dict[str, Failure]:
        """Why what is not there is not there, by key."""
        return {key: self._load(Failure, f"{FAILED}/{key}.json") for key in self._keys(FAILED)}

    def running(self) -> dict[str, Running]:
        """What is being computed, by key."""
        found = {key: self._find(Running, f"{RUNNING}/{key}.json") for key in self._keys(RUNNING)}
        return {key: mark for key, mark in found.items() if mark is not None}

    def _keys(self, folder: str) -> list[str]:
        return [key.rpartition("/")[2].split(".")[0] for key in self._store.keys(f"{folder}/")]

    def _keep(self, name: str, key: str, data: bytes) -> bool:
        created = self._store.create(name, data)
        for folder in (RUNNING, FAILED):
            self._store.delete(f"{folder}/{key}.json")
        return created

    def _find(self, kind: type[Record], name: str) -> Record | None:
        try:
            return self._load(kind, name)
        except MissingObjectError:
            return None

    def _load(self, kind: type[Record], name: str) -> Record:
        try:
            found: Record = _adapter(kind).validate_json(self._store.get(name))
            return found
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "file"
            raise self._damaged(name, f"{where}: {first['msg']}") from None

    def _damaged(self, name: str, why: str) -> DataError:
        return DataError(f"{name} in {self.location} is damaged: {why}: delete it, and run again")


def open_cell_store(location: str) -> CellStore:
    """The store at a folder or `s3://bucket/prefix`, which is made where there is none.

    Raises:
        DataError: another version of the project wrote it.
        StorageError: it cannot be reached, read or written.
    """
    store = open_store(location)
    store.check()
    store.create(FORMAT_KEY, json.dumps({"format": FORMAT}).encode())
    written = store.get(FORMAT_KEY)
    try:
        found: Any = json.loads(written)["format"]
    except (ValueError, TypeError, KeyError):
        found = "unknown"
    if found != FORMAT:
        raise DataError(
            f"store {location} is of format {found}, and this version reads {FORMAT}: set store= "
            "to another place, or use the version that wrote it"
        )
    return CellStore(store)


def _dump(record: Any) -> bytes:
    return _adapter(type(record)).dump_json(record, indent=1) + b"\n"


_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)
