"""Files of the learner's state: re-sharding, and files that nobody should trust."""

import json
import pickle
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from physrl.errors import CheckpointError
from physrl.models.learner_state import Fragment, State, read_state, write_state

SHAPES = {"layer.weight": (3, 5), "layer.bias": (4,), "head": (1, 7)}
NUMBERS = {
    "weight": torch.arange(26.0),
    "exp_avg": torch.arange(26.0) + 100,
    "exp_avg_sq": torch.arange(26.0) + 200,
}


def shards(cuts: list[int]) -> list[tuple[list[Fragment], State]]:
    """Cut all parameters, one after another, at the given positions; all zero."""
    result = []
    for begin, end in zip([0, *cuts], [*cuts, 26], strict=True):
        holder, fragments, first = torch.zeros(end - begin), [], 0
        for name, shape in SHAPES.items():
            size = torch.Size(shape).numel()
            start, stop = max(first, begin), min(first + size, end)
            if start < stop:
                fragments.append(
                    Fragment(name, shape, start - first, holder, start - begin, stop - start)
                )
            first += size
        result.append((fragments, defaultdict(dict)))
    return result


def written(folder: Path, cuts: list[int], step: float | None = 3.0) -> None:
    begin = 0
    for rank, (fragments, state) in enumerate(shards(cuts)):
        holder = fragments[0].holder if fragments else torch.zeros(0)
        end = begin + len(holder)
        holder.copy_(NUMBERS["weight"][begin:end])
        if step is not None:
            state[holder] = {"step": torch.tensor(step)} | {
                key: NUMBERS[key][begin:end] for key in ("exp_avg", "exp_avg_sq")
            }
        write_state(folder / f"state-{rank}.safetensors", fragments, state)
        begin = end


cuts = st.lists(st.integers(0, 26), max_size=4).map(sorted)


@settings(max_examples=100, deadline=None)
@given(before=cuts, after=cuts)
def test_any_cuts_read_what_any_others_wrote(
    before: list[int], after: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("state")
    written(folder, before)
    begin = 0
    for fragments, state in shards(after):
        read_state(folder, fragments, state)
        if fragments:
            holder = fragments[0].holder
            end = begin + len(holder)
            assert torch.equal(holder, NUMBERS["weight"][begin:end])
            assert torch.equal(state[holder]["exp_avg"], NUMBERS["exp_avg"][begin:end])
            assert torch.equal(state[holder]["exp_avg_sq"], NUMBERS["exp_avg_sq"][begin:end])
            assert float(state[holder]["step"]) == 3
            begin = end


def test_before_the_first_update_there_are_no_moments(tmp_path: Path) -> None:
    written(tmp_path, [13], step=None)
    ((fragments, state),) = shards([])
    read_state(tmp_path, fragments, state)
    assert torch.equal(fragments[0].holder, NUMBERS["weight"])
    assert not state


class Poison:
    """An object that leaves a mark where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.mark,)


def damage(folder: Path, kind: str) -> None:
    file = folder / "state-0.safetensors"
    tensors = load_file(file)
    layout = json.dumps(
        {name: {"shape": list(shape), "start": 0, "step": 3.0} for name, shape in SHAPES.items()}
    )
    if kind == "missing":
        file.unlink()
    elif kind == "another rank's file is missing":
        (folder / "state-1.safetensors").unlink()
    elif kind == "truncated":
        file.write_bytes(file.read_bytes()[:-20])
    elif kind == "huge header":
        file.write_bytes((2**62).to_bytes(8, "little") + b"{}")
    elif kind == "no layout":
        save_file(tensors, file)
    elif kind == "deep layout":
        save_file(tensors, file, {"layout": "[" * 100_000})
    elif kind == "infinite step":
        save_file(tensors, file, {"layout": layout.replace("3.0", "1e999")})
    elif kind == "moved":
        save_file(tensors, file, {"layout": layout.replace('"start": 0', '"start": 1')})
    elif kind == "other shape":
        save_file(tensors, file, {"layout": layout.replace("[3, 5]", "[5, 3]")})
    elif kind == "no moment":
        del tensors["exp_avg/head"]
        save_file(tensors, file, {"layout": layout})
    elif kind == "two dimensions":
        save_file({k: v.view(1, -1) for k, v in tensors.items()}, file, {"layout": layout})


@pytest.mark.parametrize(
    "kind",
    [
        "missing",
        "another rank's file is missing",
        "truncated",
        "huge header",
        "no layout",
        "deep layout",
        "infinite step",
        "moved",
        "other shape",
        "no moment",
        "two dimensions",
    ],
)
def test_a_damaged_state_is_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    written(tmp_path, [15] if kind.startswith("another") else [])
    ((fragments, state),) = shards([])
    damage(tmp_path, kind)
    with pytest.raises(CheckpointError) as error:
        read_state(tmp_path, fragments, state)
    assert "\n" not in str(error.value)
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize("name", ["state-0.safetensors", "mp_rank_00_model_states.pt"])
def test_a_poisoned_state_does_not_run(name: str, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    folder = tmp_path / "learner"
    written(folder, [])
    (folder / "state-0.safetensors").unlink()
    (folder / name).write_bytes(pickle.dumps(Poison(mark)))
    ((fragments, state),) = shards([])
    with pytest.raises(CheckpointError):
        read_state(folder, fragments, state)
    assert not mark.exists()
    pickle.loads((folder / name).read_bytes())
    assert mark.exists()  # the poison works where it is unpickled
