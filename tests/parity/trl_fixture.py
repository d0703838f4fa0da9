"""Writes TRL's results on hand-made tensors as the fixture of `test_trl_parity.py`.

    .venv-peers/bin/python tests/parity/trl_fixture.py OUT.json

Runs in an environment with TRL and without this project. Calls the trainers' own methods, with
stand-ins for the model, the sampler and the reward functions.
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
    PartialState(cpu=True)  # needed by TRL's gather
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
    out.write_text(json.dumps(rounded(fixture)) + "\n")


def rounded(value: Any) -> Any:
    """Round numbers to the nine digits of a float32."""
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(one) for one in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main(Path(sys.argv[1]))
