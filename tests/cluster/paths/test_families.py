"""Whole path: SFT, GRPO and weight sync of every Qwen-VL family, vLLM against the learner."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import ray

from cluster.inference.servers import InferenceServers, start_servers
from cluster.learner.group import LearnerGroup
from cluster.runtime.event_loop import EventLoop
from cluster.runtime.placement import Placement
from cluster.weights.sync import Policy
from physrl.config.model import MODEL_TYPES, ModelConfig
from physrl.config.run import RunConfig
from physrl.config.runtime import RuntimeConfig
from physrl.models.loading import load_model
from physrl.models.real_form import SMALL, padded_tokenizer, save_real_form
from physrl.models.tiny import IMAGE_SIZE, TAGS
from physrl.protocols import Sampling
from physrl.tracing import Trace
from physrl.training_records import Demonstration, TrainingBatch, TrainingExample
from physrl.types import Generation, Prompt
from tests.support.families import save_family
from tests.support.images import random_image
from tests.support.inference import QUESTION, randomize
from tests.support.runs import make_config

Reserve = Callable[[RuntimeConfig], Placement]
ADAPTERS = {"rank": 4, "alpha": 32, "rslora": True, "vision": True, "projector": True}
SAMPLING = Sampling(group_size=4, temperature=0.7, max_tokens=8, seed=3)
SFT: dict[str, Any] = {"type": "sft", "lr": 1e-2, "steps": 4, "decay": "constant"}
GRPO: dict[str, Any] = {"type": "grpo", "lr": 1e-2, "steps": 4, "decay": "constant"}


@pytest.fixture(scope="module")
def learners(reserve: Reserve) -> Iterator[LearnerGroup]:
    group = LearnerGroup(RuntimeConfig(), reserve(RuntimeConfig()))
    yield group
    group.stop()


@pytest.fixture(scope="module", params=[*MODEL_TYPES, *(f"real {name}" for name in SMALL)])
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a checkpoint of each family with random weights, tiny or of the real form."""
    form, _, family = request.param.rpartition(" ")
    folder = tmp_path_factory.mktemp(family)
    if form:
        save_real_form(SMALL[family], folder, padded_tokenizer(family, [QUESTION, *TAGS]))
    else:
        save_family(family, folder)
    model = load_model(ModelConfig(path=str(folder)))
    randomize(model, seed=1)
    model.save_pretrained(folder)
    return folder


def family_config(path: Path, lora: bool, algorithm: dict[str, Any]) -> RunConfig:
    return make_config(
        model={
            "path": str(path),
            "max_prompt_tokens": 256,
            "max_completion_tokens": 32,
            "max_images": 2,
            "lora": ADAPTERS if lora else None,
        },
        algorithm=algorithm | {"max_grad_norm": 1.0, "prompts_per_step": 4},
        temperature=SAMPLING.temperature,
        runtime={"max_num_seqs": 32},
    )


def make_prompts() -> list[Prompt]:
    """Make prompts with two images, one, and none."""
    return [
        Prompt.ask(str(count), QUESTION, *(random_image(n, IMAGE_SIZE) for n in range(count)))
        for count in (2, 1, 0)
    ]


def examples_of(
    prompts: list[Prompt], generations: list[Generation], advantages: Any = None
) -> list[TrainingExample]:
    pairs = [(p, c) for p, g in zip(prompts, generations, strict=True) for c in g.completions]
    given = np.zeros(len(pairs)) if advantages is None else advantages
    return [
        TrainingExample(prompt, c.token_ids, float(advantage), c.logprobs)
        for (prompt, c), advantage in zip(pairs, given, strict=True)
    ]


def publish(learners: LearnerGroup, servers: InferenceServers, lora: bool, version: int) -> None:
    form: Literal["adapter", "weights"] = "adapter" if lora else "weights"
    servers.serve(Policy("policy", version, form, learners.weights()), wait=True)


def sample_and_compare(
    learners: LearnerGroup, servers: InferenceServers, prompts: list[Prompt]
) -> list[Generation]:
    """Sample completions, and check their log-probabilities against the learner's."""
    generations = servers.answer(prompts, SAMPLING).result()
    examples = examples_of(prompts, generations)
    scores = learners.logprobs(examples)
    differences = np.abs(
        np.concatenate([e.sampling_logprobs for e in examples]) - np.concatenate(scores)
    )
    assert differences.mean() <= 1e-4
    assert differences.max() <= 1e-2
    return generations


@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
def test_a_family_trains_and_is_served_as_it_was_trained(
    learners: LearnerGroup,
    event_loop_thread: EventLoop,
    checkpoint: Path,
    lora: bool,
    tmp_path: Path,
) -> None:
    config = family_config(checkpoint, lora, SFT)
    servers = start_servers(
        config.model,
        config.runtime,
        seed=0,
        loop=event_loop_thread,
        placement=Placement.unreserved(config.runtime),
        trace=Trace(),
    )
    prompts = make_prompts()
    try:
        learners.load(config, None)
        targets = ray.put([Demonstration(prompt, "<answer>3</answer>") for prompt in prompts])
        metrics = [learners.update(step, [targets]) for step in range(4)]
        assert metrics[-1]["loss"] < metrics[0]["loss"] - 0.1

        publish(learners, servers, lora, version=1)
        first = sample_and_compare(learners, servers, prompts)

        learners.save(tmp_path / "1")
        grpo = family_config(checkpoint, lora, GRPO)
        key, part = ("adapter", "adapter") if lora else ("path", "model")
        model = grpo.model.model_copy(update={key: str(tmp_path / "1" / part)})
        learners.load(grpo.model_copy(update={"model": model}), None)
        advantages = np.tile([1.0, -1.0], 2 * len(prompts))
        batch = TrainingBatch(tuple(examples_of(prompts, first, advantages)))
        updated = learners.update(0, [ray.put(batch)])
        assert 0 < updated["grad_norm"] < np.inf

        # The same prompts: cached prefixes of the old policy must not be used.
        publish(learners, servers, lora, version=2)
        second = sample_and_compare(learners, servers, prompts)
        assert [g.completions for g in second] != [g.completions for g in first]
    finally:
        servers.stop()
