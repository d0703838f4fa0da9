"""Bundles that a run reserves, and the actors in them."""

import time
from collections.abc import Callable

import pytest
from ray.util import placement_group_table

from cluster.runtime.placement import (
    GROUPS,
    Placement,
    required_cpus,
    required_gpus,
    run_bundles,
)
from physrl.config.runtime import RuntimeConfig
from physrl.errors import UserError

COLOCATED = RuntimeConfig(
    layout="colocated", inference_servers=2, learner_ranks=2, gpus_per_server=1, gpus_per_rank=1
)


def test_every_actor_has_a_bundle_of_its_own() -> None:
    runtime = RuntimeConfig(
        rollout_workers=3, inference_servers=2, gpus_per_server=0.5, gpus_per_rank=1
    )
    server, rank, worker = {"CPU": 0.25, "GPU": 0.5}, {"CPU": 0.5, "GPU": 1}, {"CPU": 0.5}
    assert run_bundles(runtime) == [server, server, rank, worker, worker, worker]
    assert (required_gpus(runtime), required_cpus(runtime)) == (2, 2.5)
    assert runtime.gpus == 2


def test_server_and_rank_share_a_bundle_where_they_take_turns() -> None:
    assert run_bundles(COLOCATED) == [{"CPU": 0.75, "GPU": 1}] * 2 + [{"CPU": 0.5}] * 2
    assert required_gpus(COLOCATED) == COLOCATED.gpus == 2


def test_bundles_ask_for_the_groups_that_a_cluster_has() -> None:
    runtime = RuntimeConfig(rollout_workers=1, gpus_per_server=1, gpus_per_rank=1)
    assert run_bundles(runtime, GROUPS) == [
        {"CPU": 0.25, "GPU": 1, "inference_group": 0.001},
        {"CPU": 0.5, "GPU": 1, "learner_group": 0.001},
        {"CPU": 0.5, "rollout_group": 0.001},
    ]
    assert run_bundles(runtime, {"rollout_group"})[:2] == run_bundles(runtime)[:2]
    assert run_bundles(COLOCATED, GROUPS)[0] == {"CPU": 0.75, "GPU": 1, "learner_group": 0.001}


def test_actors_go_where_their_bundle_is(reserve: Callable[[RuntimeConfig], Placement]) -> None:
    runtime = RuntimeConfig(rollout_workers=2, inference_servers=2, learner_ranks=1)
    placement = reserve(runtime)
    places = [
        placement.server(0),
        placement.server(1),
        placement.rank(0),
        placement.worker(0),
        placement.worker(1),
    ]
    assert [place.placement_group_bundle_index for place in places] == [0, 1, 2, 3, 4]
    shared = Placement(placement.group, 1, False, COLOCATED)  # inside a trial
    places = [shared.server(1), shared.rank(1), shared.worker(0)]
    assert [place.placement_group_bundle_index for place in places] == [2, 2, 3]
    assert (shared.server_gpus, shared.rank_gpus) == (0.5, 0.5)


def test_a_cluster_that_stays_too_small_is_named(ray_cluster: None) -> None:
    runtime = RuntimeConfig(inference_servers=2, gpus_per_server=1, start_timeout_s=1)
    before = set(placement_group_table())
    with pytest.raises(UserError, match=r"\b2 GPUs .* 0 .*runtime\.inference_servers") as caught:
        Placement.reserve(runtime)
    assert "\n" not in str(caught.value)
    deadline = time.monotonic() + 300
    while left := _remaining(before):  # Ray removes a group with a delay
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def _remaining(before: set[str]) -> dict[str, str]:
    """Return the groups, with their states, that were created since `before` and not removed."""
    states = {name: group["state"] for name, group in placement_group_table().items()}
    return {k: v for k, v in states.items() if k not in before and v != "REMOVED"}
