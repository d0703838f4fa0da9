"""What a run asks of the machine."""

import pytest

from cluster.session import check_gpus
from physrl.config.run import RuntimeConfig
from physrl.errors import UserError


def test_gpus_that_are_not_there_are_not_waited_for() -> None:
    runtime = RuntimeConfig(inference_servers=2, gpus_per_server=0.5, gpus_per_rank=1)
    check_gpus(runtime, 2)
    with pytest.raises(UserError, match=r"asks for 2 GPUs .* has 1: lower"):
        check_gpus(runtime, 1)
    check_gpus(RuntimeConfig(), 0)
