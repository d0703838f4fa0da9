"""Writes what TRL makes of hand-made tensors, for `test_trl_parity.py` to compare with.

    .venv-peers/bin/python tests/parity/trl_fixture.py OUT.json

Runs in an environment that holds TRL and nothing of this project. The trainers' own methods are
called; what they would ask of a model, a sampler and reward functions is put in their place.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
import trl
from accelerate import PartialState
from trl_losses import LONGEST, MASKED, loss_cases, loss_inputs
from trl_scoring import (
    GROUP,
    PARTS,
    advantage_cases,
    importance_cases,
    overlong,
    scoring_inputs,
)


def main(out: Path) -> None:
    """Write the fixture."""
    torch.set_num_threads(1)
    PartialState(cpu=True)  # what TRL's gathering asks for
    fixture = {
        "trl": trl.__version__,
        "torch": str(torch.__version__),
        "max_length": LONGEST,
        "masked_row": MASKED,
        "group_size": GROUP,
        "parts": PARTS,
        "loss_inputs": {name: value.tolist() for name, value in loss_inputs().items()},
        "losses": loss_cases(),
        "scoring_inputs": {name: value.tolist() for name, value in scoring_inputs().items()},
        "advantages": advantage_cases(),
        "importance": importance_cases(),
        "overlong": overlong(),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(shortened(fixture)) + "\n")


def shortened(value: Any) -> Any:
    """Numbers with the nine digits that a float32 needs."""
    if isinstance(value, dict):
        return {key: shortened(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [shortened(one) for one in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main(Path(sys.argv[1]))
