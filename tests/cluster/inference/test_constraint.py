"""Decoding under the constraint of a task's grammar: real vLLM with the tiny base."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from cluster.inference.servers import InferenceServers, start_servers
from cluster.runtime.event_loop import EventLoop
from cluster.runtime.placement import Placement
from physrl.config.environment import EnvironmentConfig
from physrl.config.model import ModelConfig
from physrl.config.runtime import RuntimeConfig
from physrl.environments.renderer import TinyRenderer
from physrl.protocols import Sampling
from physrl.scene_source import SceneSource, prepare
from physrl.tasks import TASKS
from physrl.tasks.answers import answer_pattern
from physrl.tracing import Trace

pytestmark = pytest.mark.slow
GREEDY = Sampling(1, 0.0, 24, 0)
RUNTIME = RuntimeConfig(kv_cache_mb=64, max_num_seqs=32)
SCENES = 24


@pytest.fixture(scope="module")
def servers(ray_cluster: None, event_loop_thread: EventLoop) -> Iterator[InferenceServers]:
    servers = start_servers(
        ModelConfig(max_prompt_tokens=96),
        RUNTIME,
        seed=0,
        loop=event_loop_thread,
        placement=Placement.unreserved(RUNTIME),
        trace=Trace(),
    )
    yield servers
    servers.stop()


@pytest.mark.parametrize("task", ["stability", "place_x", "place", "stabilize"])
def test_constrained_answers_equal_unconstrained_ones_where_these_are_legal(
    servers: InferenceServers, renderer: TinyRenderer, task: str
) -> None:
    source = SceneSource(task, EnvironmentConfig(), 0, "test", reasoning=False)
    _, prompts = prepare(source, range(SCENES), renderer)
    pattern = answer_pattern(TASKS[task].axes)
    free, constrained = (
        [generation.completions[0] for generation in servers.answer(prompts, each).result()]
        for each in (GREEDY, replace(GREEDY, pattern=pattern))
    )
    assert all(re.fullmatch(pattern, each.text) for each in constrained)
    legal = [bool(re.fullmatch(pattern, each.text)) for each in free]
    # The base has learned to answer questions about pictures, but not these ones.
    assert sum(legal) == SCENES if task == "stability" else 0 <= sum(legal) < SCENES
    for one, other, is_legal in zip(free, constrained, legal, strict=True):
        assert (one.token_ids == other.token_ids) == is_legal
