"""A learner rank that loads several models one after the other.

Run as a script, this file is such a rank.
"""

import subprocess
import sys
import weakref

import pytest

from cluster.learner.rank import LearnerRank
from physrl.config.load import validate
from physrl.config.model import ModelConfig
from physrl.models import loading
from physrl.training_records import Demonstration
from physrl.types import Prompt
from tests.support.paths import ROOT, TINY_BASE


@pytest.mark.slow
def test_the_last_model_is_freed_before_the_next_is_loaded() -> None:
    command = [sys.executable, "-m", "tests.cluster.learner.test_rank"]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert finished.returncode == 0, finished.stderr
    # Objects of the last model and optimizer that are alive at each load.
    assert finished.stdout.splitlines()[-1] == str([0] * 6)


def rank_main() -> None:
    """Load and train at every stage; print the number of objects of the last model at each load."""
    rank = LearnerRank(0, 1)
    held: list[weakref.ref[object]] = []
    left_over: list[int] = []
    load_model = loading.load_model

    def watched(config: ModelConfig) -> object:
        left_over.append(sum(one() is not None for one in held))
        return load_model(config)

    loading.load_model = watched
    rank.join(1, *rank.rendezvous(1))
    for stage, lora in ((0, None), (1, None), (2, None), (3, None), (3, {"rank": 4}), (0, None)):
        rank.load(
            validate(
                {
                    "model": {"path": str(TINY_BASE), "lora": lora},
                    "algorithm": {"type": "sft", "prompts_per_step": 1},
                    "runtime": {"zero_stage": stage},
                }
            ),
            None,
        )
        rank.receive([Demonstration(Prompt.ask("0", "Where?"), "<answer>3</answer>")])
        rank.update(0, None)
        model = rank._engine.model
        held = [weakref.ref(one) for one in (model, *model.parameters())]
        held.append(weakref.ref(rank._engine._engine.optimizer))
        del model
    print(left_over)


if __name__ == "__main__":
    rank_main()
