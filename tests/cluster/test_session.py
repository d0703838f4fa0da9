"""What a run asks of the machine."""

import pytest

from cluster.session import check_gpus, placed_cpus
from physrl.config.run import RuntimeConfig
from physrl.errors import UserError


def test_cores_that_actors_are_placed_on() -> None:
    runtime = RuntimeConfig(rollout_workers=4, inference_servers=2, learner_ranks=2)
    assert placed_cpus(runtime) == 4 * 0.5 + 2 * 0.25 + 2 * 0.5


def test_gpus_that_are_not_there_are_not_waited_for() -> None:
    runtime = RuntimeConfig(inference_servers=2, gpus_per_server=0.5, gpus_per_rank=1)
    check_gpus(runtime, 2)
    with pytest.raises(UserError, match=r"2 GPUs \(2 servers x 0\.5 \+ 1 ranks x 1\), but"):
        check_gpus(runtime, 1)
    check_gpus(RuntimeConfig(), 0)
