"""The learner's state in files: trained weights in 32 bits and the moments of AdamW.

Each rank writes the fragments of parameters that it holds, as safetensors, which hold numbers and
no code. The names and positions of fragments are in the files, so that any number of ranks at any
ZeRO stage can read what others wrote.
"""

from collections import defaultdict
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, NonNegativeInt, TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from physrl.errors import CheckpointError

WEIGHT, MOMENTS = "weight", ("exp_avg", "exp_avg_sq")
LAYOUT = "layout"
"""Key of the files' metadata."""


@dataclass(frozen=True, slots=True, eq=False)
class Fragment:
    """The consecutive elements of a trained parameter that a rank holds."""

    name: str
    shape: tuple[int, ...]
    """Shape of the whole parameter."""
    start: int
    """Position of the first element in the whole parameter."""
    holder: Tensor
    """Tensor that the optimizer updates: the parameter, or a flat one with elements of several."""
    offset: int
    """Position of the first element in the holder."""
    length: int

    def part_of(self, tensor: Tensor) -> Tensor:
        """Return the view of the fragment in the holder, or in a moment of the same form."""
        return tensor.detach().view(-1).narrow(0, self.offset, self.length)


class _Piece(BaseModel):
    """A fragment in a file."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    shape: tuple[NonNegativeInt, ...]
    start: NonNegativeInt
    step: float | None
    """Updates of the optimizer; None before the first, when there are no moments."""


_Layout = TypeAdapter(dict[str, _Piece])
State = MutableMapping[Any, dict[str, Any]]
"""State of a torch optimizer by the tensor that it updates."""


def write_state(file: Path, fragments: Sequence[Fragment], state: State) -> None:
    """Write a rank's fragments with their moments."""
    tensors, layout = {}, {}
    for fragment in fragments:
        moments = state.get(fragment.holder, {})
        found = {WEIGHT: fragment.holder} | {key: moments[key] for key in MOMENTS if moments}
        for key, tensor in found.items():
            tensors[f"{key}/{fragment.name}"] = fragment.part_of(tensor).to("cpu", copy=True)
        step = float(moments["step"]) if moments else None
        layout[fragment.name] = _Piece(shape=fragment.shape, start=fragment.start, step=step)
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, file, {LAYOUT: _Layout.dump_json(layout).decode()})


def read_state(folder: Path, fragments: Sequence[Fragment], state: State) -> None:
    """Restore a rank's fragments and their moments from the files of all ranks.

    Raises:
        CheckpointError: the files are missing or damaged, or hold another model's parameters.
    """
    with ExitStack() as stack:
        pieces = defaultdict(list)
        for name, piece in _open_pieces(folder, stack):
            pieces[name].append(piece)
        for fragment in fragments:
            _restore(folder, fragment, pieces[fragment.name], state)


@dataclass(frozen=True, slots=True)
class _Stored:
    """A fragment in an open file."""

    piece: _Piece
    tensors: dict[str, Any]
    """Slices that safetensors reads when they are indexed."""
    length: int


def _open_pieces(folder: Path, stack: ExitStack) -> Iterator[tuple[str, _Stored]]:
    for path in sorted(folder.glob("*.safetensors")):
        try:
            file = stack.enter_context(safe_open(path, framework="pt"))
            layout = _Layout.validate_json((file.metadata() or {})[LAYOUT])
            for name, piece in layout.items():
                keys = (WEIGHT,) if piece.step is None else (WEIGHT, *MOMENTS)
                tensors = {key: file.get_slice(f"{key}/{name}") for key in keys}
                lengths = {tuple(tensor.get_shape()) for tensor in tensors.values()}
                ((length,),) = lengths
                yield name, _Stored(piece, tensors, length)
        except (SafetensorError, ValidationError, KeyError, ValueError, OSError) as error:
            reason = str(error).partition("\n")[0]
            raise CheckpointError(f"learner state {path} cannot be read: {reason}") from None


def _restore(folder: Path, fragment: Fragment, pieces: list[_Stored], state: State) -> None:
    """Copy the elements of a fragment from all pieces that hold some of them."""
    position, end = fragment.start, fragment.start + fragment.length
    for stored in sorted(pieces, key=lambda stored: stored.piece.start):
        start = stored.piece.start
        if stored.piece.shape != fragment.shape or start > position:
            break
        stop = min(end, start + stored.length)
        if stop <= position:
            continue
        for key, tensor in stored.tensors.items():
            target = fragment.holder if key == WEIGHT else _moments(state, fragment.holder)[key]
            part = fragment.part_of(target)[position - fragment.start : stop - fragment.start]
            part.copy_(tensor[position - start : stop - start])
        if stored.piece.step is not None:
            _moments(state, fragment.holder)["step"].fill_(stored.piece.step)
        position = stop
    if position < end:
        raise CheckpointError(
            f"learner state {folder} does not hold {fragment.name} of shape {fragment.shape}: "
            "resume from an earlier checkpoint, or start a new run from its adapter/ or model/"
        )


def _moments(state: State, holder: Tensor) -> dict[str, Any]:
    """Return the moments of a tensor, of zero before its first update."""
    moments = state.setdefault(holder, {})
    if not moments:
        moments["step"] = torch.tensor(0.0)
        moments |= {key: torch.zeros_like(holder) for key in MOMENTS}
    return moments
