"""The store of a study's results, in a folder or a bucket: an object for each, written once.

    format.json            version of the layout
    plans/<study>.json     results that the study needs
    trained/<key>.json     checkpoint and training metrics of a trial
    cells/<key>.parquet    answers of a cell
    adaptation/<key>.json  successes after each number of steps
    probes/<key>.json      decodability by layer
    people/<study>/<group>.parquet    answers of people; a new import replaces an earlier one
    running/<key>.json     results that are being computed
    failed/<key>.json      reasons of failures

Studies can share a store, and then share results of equal keys.
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from physrl.errors import DataError, MissingObjectError
from physrl.evaluation.adaptation import AdaptationCurve
from physrl.evaluation.plan_file import StudyOutline, dump_plan, parse_outline, parse_plan
from physrl.evaluation.probe_results import ProbeResult
from physrl.evaluation.results import CellResult
from physrl.evaluation.scores import CellScores
from physrl.evaluation.specs import StudyPlan
from physrl.storage.object_store import ObjectStore, open_store
from physrl.types import Metrics

if TYPE_CHECKING:
    from physrl.evaluation.people import PeopleGroup  # pyarrow, which only answers need

FORMAT = "physrl-study-5"
"""Version of the keys and the columns."""
FORMAT_KEY = "format.json"
PLANS, TRAINED, CELLS, ADAPTATION, PROBES, PEOPLE, RUNNING, FAILED = (
    "plans", "trained", "cells", "adaptation", "probes", "people", "running", "failed",
)  # fmt: skip
Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Trained:
    """The trained model of a trial."""

    key: str
    name: str
    checkpoint: str
    """Folder or s3:// prefix that contains `adapter/` or `model/`."""
    seconds: float
    """Duration of training."""
    metrics: tuple[Metrics, ...] = ()
    """Metrics of each step, with the key `step`."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The failure of a trial, a cell, an adaptation or a probe."""

    key: str
    name: str
    """Name for displays."""
    reason: str
    """Reason in one line."""
    tries: int
    time: float
    """Time of the failure, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Running:
    """A mark that a trial, a cell, an adaptation or a probe is being computed."""

    key: str
    name: str
    time: float
    """Time of the start, in seconds since 1970; a killed computation leaves its mark."""


class CellStore:
    """A store of results under keys that hash their inputs; results are never overwritten."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @property
    def location(self) -> str:
        return self._store.location

    def save_plan(self, plan: StudyPlan) -> None:
        """Write the plan of a study, and replace an earlier plan of the same name."""
        self._store.put(f"{PLANS}/{plan.name}.json", dump_plan(plan))

    def plans(self) -> tuple[StudyPlan, ...]:
        """Read the plans of all studies that share the store, in the order of their names.

        Raises:
            DataError: a plan is damaged, or of another version.
        """
        return tuple(self._parse(parse_plan, key) for key in self._store.keys(f"{PLANS}/"))

    def read_plan(self, name: str) -> StudyPlan:
        """Read the plan of a study.

        Raises:
            DataError: it is damaged, or of another version.
            StorageError: it does not exist, or cannot be read.
        """
        return self._parse(parse_plan, f"{PLANS}/{name}.json")

    def read_outline(self, name: str) -> StudyOutline:
        """Read the outline of a study's plan; raises as `read_plan`."""
        return self._parse(parse_outline, f"{PLANS}/{name}.json")

    def studies(self) -> tuple[str, ...]:
        """List the names of the studies that share the store."""
        keys = self._store.keys(f"{PLANS}/")
        return tuple(key.removeprefix(f"{PLANS}/").removesuffix(".json") for key in keys)

    def write_cell(self, key: str, result: CellResult) -> bool:
        """Write a cell; return False, without effect, if it exists."""
        from physrl.evaluation.result_files import dump_results  # only cells need pyarrow

        data = dump_results([result], {"format": FORMAT})
        return self._create(f"{CELLS}/{key}.parquet", key, data)

    def read_cell(self, key: str) -> CellResult | None:
        """Read a cell; return None if it does not exist.

        Raises:
            DataError: the cell is damaged.
        """
        from physrl.evaluation.result_files import parse_results

        name = f"{CELLS}/{key}.parquet"
        try:
            (result,), _ = parse_results(self._store.get(name))
        except MissingObjectError:
            return None
        except ValueError as error:
            raise self._damaged(name, str(error)) from None
        return result

    def read_scores(self, key: str) -> CellScores | None:
        """Read the scores of a cell's answers; return None if the cell does not exist.

        Raises:
            DataError: the cell is damaged.
        """
        from physrl.evaluation.result_files import parse_scores

        name = f"{CELLS}/{key}.parquet"
        try:
            return parse_scores(self._store.get(name))
        except MissingObjectError:
            return None
        except ValueError as error:
            raise self._damaged(name, str(error)) from None

    def write_trained(self, trained: Trained) -> bool:
        """Write the trained model of a trial; return False, without effect, if it exists.

        Metrics that are not finite are omitted, since JSON cannot represent them.
        """
        rows = tuple(
            {name: value for name, value in row.items() if math.isfinite(value)}
            for row in trained.metrics
        )
        finite = replace(trained, metrics=rows)
        return self._create(f"{TRAINED}/{trained.key}.json", trained.key, _dump(finite))

    def read_trained(self, key: str) -> Trained | None:
        """Read the trained model of a trial; return None if it does not exist."""
        return self._find(Trained, f"{TRAINED}/{key}.json")

    def write_adaptation(self, curve: AdaptationCurve) -> bool:
        """Write an adaptation; return False, without effect, if it exists."""
        return self._create(f"{ADAPTATION}/{curve.key}.json", curve.key, _dump(curve))

    def read_adaptation(self, key: str) -> AdaptationCurve | None:
        """Read an adaptation; return None if it does not exist."""
        return self._find(AdaptationCurve, f"{ADAPTATION}/{key}.json")

    def write_probe(self, result: ProbeResult) -> bool:
        """Write a probe; return False, without effect, if it exists."""
        return self._create(f"{PROBES}/{result.key}.json", result.key, _dump(result))

    def read_probe(self, key: str) -> ProbeResult | None:
        """Read a probe; return None if it does not exist."""
        return self._find(ProbeResult, f"{PROBES}/{key}.json")

    def write_people(self, study: str, group: "PeopleGroup") -> None:
        """Write the answers of a group of people, and replace an earlier import of its name."""
        from physrl.evaluation.people import dump_people

        self._store.put(f"{PEOPLE}/{study}/{group.name}.parquet", dump_people(group))

    def read_people(self, study: str) -> "tuple[PeopleGroup, ...]":
        """Read the groups of people of a study, in the order of their names.

        Raises:
            DataError: a group is damaged.
        """
        from physrl.evaluation.people import parse_people

        groups = []
        for key in self._store.keys(f"{PEOPLE}/{study}/"):
            name = key.rpartition("/")[2].removesuffix(".parquet")
            try:
                groups.append(parse_people(name, self._store.get(key)))
            except ValueError as error:
                raise self._damaged(key, str(error), "import the people's data again") from None
        return tuple(groups)

    def start(self, key: str, name: str) -> None:
        """Mark a result as being computed."""
        self._store.put(f"{RUNNING}/{key}.json", _dump(Running(key, name, time.time())))

    def fail(self, key: str, name: str, reason: str, tries: int) -> None:
        """Record the failure of a result, and replace an earlier one."""
        line = " ".join(reason.split())
        self._store.put(f"{FAILED}/{key}.json", _dump(Failure(key, name, line, tries, time.time())))
        self._store.delete(f"{RUNNING}/{key}.json")

    def done(self) -> frozenset[str]:
        """List the keys of all results that exist."""
        folders = (TRAINED, CELLS, ADAPTATION, PROBES)
        return frozenset(key for folder in folders for key in self._keys(folder))

    def failures(self) -> dict[str, Failure]:
        """Read all failures, by key."""
        return {key: self._load(Failure, f"{FAILED}/{key}.json") for key in self._keys(FAILED)}

    def read_failure(self, key: str) -> Failure | None:
        """Read the failure of a result; return None if it does not exist.

        Raises:
            DataError: it is damaged.
        """
        return self._find(Failure, f"{FAILED}/{key}.json")

    def read_running(self, key: str) -> Running | None:
        """Read the mark of a result that is being computed; as `read_failure`."""
        return self._find(Running, f"{RUNNING}/{key}.json")

    def running(self) -> dict[str, Running]:
        """Read the marks of all results that are being computed, by key."""
        found = {key: self.read_running(key) for key in self._keys(RUNNING)}
        return {key: mark for key, mark in found.items() if mark is not None}

    def _keys(self, folder: str) -> list[str]:
        return [key.rpartition("/")[2].split(".")[0] for key in self._store.keys(f"{folder}/")]

    def _create(self, name: str, key: str, data: bytes) -> bool:
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
        parse: Callable[[bytes], Record] = _adapter(kind).validate_json
        return self._parse(parse, name)

    def _parse(self, parse: Callable[[bytes], Record], name: str) -> Record:
        try:
            return parse(self._store.get(name))
        except RecursionError:
            raise self._damaged(name, "it is nested too deeply") from None
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "file"
            raise self._damaged(name, f"{where}: {first['msg']}") from None
        except ValueError as error:
            raise self._damaged(name, str(error)) from None

    def _damaged(self, name: str, why: str, remedy: str = "delete it and run again") -> DataError:
        return DataError(f"{name} in {self.location} is damaged: {why}: {remedy}")


def open_cell_store(location: str) -> CellStore:
    """Open the store in a folder or at `s3://bucket/prefix`; create it if it does not exist.

    Raises:
        DataError: the store is of another version of the project.
        StorageError: the store cannot be reached, read or written.
    """
    store = open_store(location)
    store.check()
    store.create(FORMAT_KEY, json.dumps({"format": FORMAT}).encode())
    return _read_store(store)


def find_cell_store(location: str) -> CellStore | None:
    """Open an existing store to read from it; return None if there is none.

    Raises:
        DataError, StorageError: as `open_cell_store`.
    """
    return find_cells(open_store(location))


def find_cells(store: ObjectStore) -> CellStore | None:
    """Open the results in an object store to read from them; return None if there are none.

    Raises:
        DataError, StorageError: as `open_cell_store`.
    """
    return None if store.size(FORMAT_KEY) is None else _read_store(store)


def _read_store(store: ObjectStore) -> CellStore:
    written = store.get(FORMAT_KEY)
    try:
        found: Any = from_json(written)["format"]
    except (ValueError, TypeError, KeyError):
        found = "unknown"
    if found != FORMAT:
        raise DataError(
            f"store {store.location} is of format {found}, but this version reads {FORMAT}: set "
            "store= to another location, or use the version that wrote it"
        )
    return CellStore(store)


def _dump(record: Any) -> bytes:
    return _adapter(type(record)).dump_json(record, indent=1) + b"\n"


_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)
