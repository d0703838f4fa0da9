"""Transfer of files to and from ranks on machines that do not share the driver's folders."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.learner import ranks as ranks_module
from cluster.learner.rank import LearnerRank, file_sizes
from cluster.learner.ranks import Ranks
from cluster.runtime.placement import Placement
from physrl.config.runtime import RuntimeConfig


def remote_rank(here: Path, there: Path) -> type[LearnerRank]:
    """Make a class of ranks that see the folder `there` in place of the folder `here`."""

    class RemoteRank(LearnerRank):
        def __init__(self, rank: int, threads: int) -> None:
            self._machine = there / f"machine-{rank // 2}"  # two ranks on each machine

        def translate(self, path: Path) -> Path:
            return self._machine / path.relative_to(here)

        def files(self, folder: Path) -> tuple[str, dict[str, int]]:
            return self._machine.name, file_sizes(self.translate(folder))

        def remove(self, folder: Path) -> None:
            super().remove(self.translate(folder))

        def read(self, file: Path) -> Iterator[bytes]:
            yield from super().read(self.translate(file))

        def write(self, file: Path, piece: bytes, start: int) -> None:
            super().write(self.translate(file), piece, start)

    return RemoteRank


@pytest.fixture
def ranks(ray_cluster: None, tmp_path: Path) -> Iterator[Ranks]:
    runtime = RuntimeConfig(learner_ranks=3)
    rank = remote_rank(tmp_path / "driver", tmp_path)
    ranks = Ranks(runtime, Placement.unreserved(runtime), rank)
    yield ranks
    ranks.stop()


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_files_of_other_machines_are_moved_to_the_driver(ranks: Ranks, tmp_path: Path) -> None:
    write(tmp_path / "machine-0" / "step", model__weights="0123456789", rank_0="a")
    write(tmp_path / "machine-1" / "step", rank_2="c")
    step = tmp_path / "driver" / "step"
    ranks.fetch(step)
    assert contents(step) == {"model/weights": "0123456789", "rank_0": "a", "rank_2": "c"}
    assert contents(tmp_path / "machine-0") == contents(tmp_path / "machine-1") == {}


def test_missing_files_are_sent_once_to_each_machine(
    ranks: Ranks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranks_module, "PIECE_BYTES", 4)
    step: Any = tmp_path / "driver" / "step"
    write(step, model__weights="0123456789", state="s")
    write(tmp_path / "machine-1" / "step", state="s", model__weights="only five")
    ranks.send(step)
    for machine in ("machine-0", "machine-1"):
        assert contents(tmp_path / machine / "step") == contents(step)
