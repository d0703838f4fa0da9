"""The measurements of a run's policies: two files each, named by what was asked, written once.

    evaluation/<policy>_<task>_<test set>_<decoding>_<start of the key>.parquet   the answers
    evaluation/<the same>.json                                                    what was asked

The key hashes the policy's content and everything that its answers depend on, so that a measurement
under other settings has a file of its own, and one under the same settings is found again.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from physrl.errors import DataError
from physrl.evaluation.result_files import dump_results, parse_results
from physrl.evaluation.results import CellResult
from physrl.evaluation.specs import CellSpec

SUFFIX = ".parquet"
FOLDER = "evaluation"
KEY_DIGITS = 12
"""Digits of the key in a file's name; the whole key is in the file."""
CELL, VERSIONS = "cell", "versions"
"""Keys of the metadata of the Parquet file."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """The answers of a policy in a cell."""

    cell: CellSpec
    result: CellResult
    versions: Mapping[str, str]
    """Versions of the code, the scene generator and the packages that made them."""

    @property
    def policy(self) -> str:
        """Name of the policy."""
        return self.cell.subject.name


class Measurements:
    """The measurements in the folder of a run, which need not exist."""

    def __init__(self, run: Path) -> None:
        self.folder = run / FOLDER

    def find(self, cell: CellSpec) -> Measurement | None:
        """Return the measurement of a cell, under whatever name; None if there is none.

        Raises:
            DataError: its file is damaged.
        """
        for path in self._paths(f"*_{cell.key[:KEY_DIGITS]}{SUFFIX}"):
            found = load_measurement(path)
            if found.cell.key == cell.key:
                return found
        return None

    def save(self, measurement: Measurement) -> Path:
        """Write a measurement and return the path of its answers; an existing one is kept.

        Raises:
            DataError: the folder cannot be written.
        """
        path = self.folder / file_name(measurement.cell)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _write(path.with_suffix(".json"), _summary(measurement).encode())
            _write(path, _dump(measurement))
        except OSError as error:
            raise DataError(
                f"{path} cannot be written: {error.strerror or error}: free disk space, or set "
                "output= to another folder"
            ) from None
        return path

    def all(self) -> tuple[Measurement, ...]:
        """Read all measurements, in the order of the names of their files.

        Raises:
            DataError: a file is damaged.
        """
        return tuple(map(load_measurement, self._paths(f"*{SUFFIX}")))

    def _paths(self, pattern: str) -> Sequence[Path]:
        return sorted(path for path in self.folder.glob(pattern) if path.name[0] != ".")


def file_name(cell: CellSpec) -> str:
    """Return the name of a cell's file."""
    condition = cell.condition
    asked = (condition.task, condition.test_set, condition.decoding, cell.key[:KEY_DIGITS])
    return "_".join((_plain(cell.subject.name), *asked)) + SUFFIX


def load_measurement(path: Path) -> Measurement:
    """Read a measurement.

    Raises:
        DataError: the file is missing, damaged, or not a measurement.
    """
    try:
        (result,), metadata = parse_results(path.read_bytes())
        cell = _cells().validate_json(metadata[CELL])
        return Measurement(cell, result, json.loads(metadata[VERSIONS]))
    except OSError as error:
        raise DataError(f"result {path} cannot be read: {error.strerror}: evaluate again") from None
    except KeyError as error:
        raise DataError(
            f"result {path} does not say what was asked ({error} is missing; an older version "
            "wrote it): move it away and evaluate again"
        ) from None
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"result {path} is damaged: {reason}: move it away and evaluate again"
        ) from None


def _dump(measurement: Measurement) -> bytes:
    metadata = {
        CELL: _cells().dump_json(measurement.cell).decode(),
        VERSIONS: json.dumps(dict(measurement.versions)),
    }
    return dump_results([measurement.result], metadata)


def _summary(measurement: Measurement) -> str:
    """Describe a measurement for people and scripts: its identity and its counts."""
    cell, count = measurement.cell, measurement.result.count
    tree: dict[str, Any] = {
        "policy": measurement.policy,
        "policy_key": cell.subject.key,
        "key": cell.key,
        **to_jsonable_python(cell.condition),
        "successes": count.successes,
        "total": count.total,
        "rate": count.rate,
        "interval": count.interval,
        "unparseable": measurement.result.unparseable,
        "answers": file_name(cell),
        "settings": to_jsonable_python(cell.settings),
        "versions": dict(measurement.versions),
    }
    return json.dumps(tree, indent=1) + "\n"


def _write(path: Path, data: bytes) -> None:
    """Write a file in one piece, unless it exists."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(data)
        os.link(partial, path)  # unlike a rename, fails where there is a file
    except FileExistsError:
        return
    finally:
        partial.unlink(missing_ok=True)


def _plain(name: str) -> str:
    """Return a policy's name as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", name).strip("_.") or "policy"


@cache
def _cells() -> TypeAdapter[CellSpec]:
    return TypeAdapter(CellSpec)
