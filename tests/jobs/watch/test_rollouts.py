import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jobs.watch.listed import ListedFolder
from jobs.watch.listed_store import ListedStore
from jobs.watch.rollouts import KINDS, Search, search
from physrl.data.rollouts import write_rollouts
from physrl.types import Offset, Unparseable
from tests.support.paths import ROOT
from tests.support.rollouts import rollout_group

SEARCH = """
import sys
from pathlib import Path
from jobs.watch.listed import ListedFolder
from jobs.watch.listed_store import ListedStore
from jobs.watch.rollouts import KINDS, Search, search
run = ListedStore(ListedFolder(Path(sys.argv[1])), "")
run.listed.refresh()
for kind in KINDS:
    search(run, Search(kind=kind))
    search(run, Search(kind=kind, text="none"))
assert "pandas" not in sys.modules
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    image = np.zeros((4, 4, 3), np.uint8)
    group = rollout_group([Offset(1, 2), Unparseable("no answers")], image)
    write_rollouts(tmp_path / "rollouts/step-00000001.parquet", [group], [0.5, -0.5], 1)
    return tmp_path


def test_a_search_does_not_wait_for_pandas(run: Path) -> None:
    subprocess.run([sys.executable, "-c", SEARCH, run], check=True, cwd=ROOT)


def test_kinds_and_text_are_found_together(run: Path) -> None:
    store = ListedStore(ListedFolder(run), "")
    store.listed.refresh()
    found = {kind: len(search(store, Search(kind=kind)).rows) for kind in KINDS}
    assert (found["all"], found["unparseable"], found["illegal"]) == (2, 1, 0)
    everything = search(store, Search()).rows
    text = everything[0]["completion"]
    same = [row for row in everything if text.lower() in row["completion"].lower()]
    assert list(search(store, Search(text=text.upper())).rows) == same
    assert search(store, Search(kind="illegal", text=text)).rows == ()
