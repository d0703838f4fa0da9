"""Evaluation of adapters of one base: all on one server, against a server for each.

    python tests/benchmarks/many_adapters.py

Last line: {"adapters", "one_server_s", "servers_in_turn_s", "speedup", "same_answers"}; both times
include the start of the servers.
"""

import json
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from cluster.inference.servers import start_servers
from cluster.runtime.event_loop import EventLoop
from cluster.runtime.placement import Placement
from cluster.runtime.session import ray_session
from cluster.weights.sync import Policy
from physrl.config.environment import EnvironmentConfig
from physrl.config.model import LoRAConfig, ModelConfig
from physrl.config.runtime import RuntimeConfig
from physrl.environments.renderer import TinyRenderer
from physrl.protocols import Sampling
from physrl.scene_source import SceneSource, prepare
from physrl.tracing import Trace
from physrl.types import Generation, Prompt

TINY_BASE = Path(__file__).parents[2] / "assets" / "tiny-base"
LORA = LoRAConfig(rank=8, alpha=32, vision=True)
GREEDY = Sampling(group_size=1, temperature=0, max_tokens=24, seed=0)
RUNTIME = RuntimeConfig(batching="continuous")
"""As a study's servers compute."""


def main(
    adapters: Annotated[int, typer.Option(min=2, help="Number of adapters.")] = 8,
    scenes: Annotated[int, typer.Option(min=1, help="Scenes that each adapter answers.")] = 128,
) -> None:
    """Make random adapters, ask each about the same scenes both ways, compare times and answers."""
    source = SceneSource("place", EnvironmentConfig(), 0, "test", False)
    with closing(TinyRenderer()) as renderer:
        _, prompts = prepare(source, range(scenes), renderer)
    with tempfile.TemporaryDirectory() as folder:
        policies = make_adapters(Path(folder), adapters)
        with ray_session(RUNTIME):
            began = time.monotonic()
            together = on_one_server(policies, prompts)
            one = time.monotonic() - began
            print(f"{adapters} adapters on one server: {one:.1f} s", flush=True)
            began = time.monotonic()
            in_turn = [on_one_server([policy], prompts)[0] for policy in policies]
            each = time.monotonic() - began
    figures = {
        "adapters": adapters,
        "one_server_s": round(one, 1),
        "servers_in_turn_s": round(each, 1),
        "speedup": round(each / one, 2),
        "same_answers": texts(together) == texts(in_turn),
    }
    print(json.dumps(figures))


def make_adapters(folder: Path, count: int) -> list[Policy]:
    """Make random adapters of the tiny base, which answer differently."""
    import torch
    from peft import get_peft_model

    from physrl.models.loading import load_model, peft_config

    policies = []
    for number in range(count):
        model = load_model(ModelConfig(path=str(TINY_BASE)))
        config = peft_config(LORA, model)
        config.init_lora_weights = False
        torch.manual_seed(number)
        path = folder / f"adapter-{number}"
        get_peft_model(model, config).save_pretrained(path)
        policies.append(Policy(f"adapter-{number}", form="adapter", source=str(path)))
    return policies


def on_one_server(policies: Sequence[Policy], prompts: Sequence[Prompt]) -> list[list[Generation]]:
    """Sample all policies' answers from one server that starts and ends here."""
    loop, placement = EventLoop(), Placement.reserve(RUNTIME)
    servers = start_servers(
        ModelConfig(path=str(TINY_BASE), lora=LORA, max_prompt_tokens=96),
        RUNTIME,
        seed=0,
        loop=loop,
        placement=placement,
        trace=Trace(),
        adapters=len(policies),
    )
    answers = [servers.answer(prompts, GREEDY, policy) for policy in policies]
    try:
        return [answer.result() for answer in answers]
    finally:
        servers.stop()
        loop.stop()
        placement.release()


def texts(answers: list[list[Generation]]) -> list[list[str]]:
    """Return the completions' texts."""
    return [[group.completions[0].text for group in groups] for groups in answers]


if __name__ == "__main__":
    typer.run(main)
