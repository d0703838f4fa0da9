"""Checks of a run's own actors: servers and learner, adapters, an update, both speeds."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace

import ray

from cluster.runtime.stopping import StopRequest
from cluster.training.actors import RunActors
from cluster.training.controller import Controller
from jobs.gpu_check.comparison import agreeing, difference, examples_of
from jobs.gpu_check.rows import Failed, Finding, Skipped
from jobs.sizing.costs import PEAK, decoding_seconds, parameters, update_seconds
from physrl.config.run import RunConfig
from physrl.environments.renderer import make_renderer
from physrl.metrics import read_metrics
from physrl.protocols import Sampling
from physrl.scene_source import prepare, scene_source
from physrl.storage.run_folder import open_run
from physrl.training_records import TrainingBatch, TrainingExample
from physrl.types import Generation, Metrics, Prompt

PROMPTS, GROUP = 4, 4
"""Prompts, and completions of each, that are compared."""
PEAKS = {"A100": 312e12, "L40S": 362e12, "H100": PEAK, "H200": PEAK, "B200": 2250e12}
"""Floating-point operations per second by GPU, dense bfloat16."""


class TrainedRun:
    """The actors of a run, which start with the first check that needs them.

    Args:
        device: name of the GPU, or `cpu`.
    """

    def __init__(self, config: RunConfig, device: str) -> None:
        self.config, self.device = config, device
        self._actors: RunActors | None = None
        self._failed = False
        self._step = 0

    @property
    def actors(self) -> RunActors:
        """The actors, with the model before training.

        Raises:
            Skipped: they could not start before.
        """
        if self._failed:
            raise Skipped("server or learner did not start")
        if self._actors is None:
            try:
                self._actors = self._started()
            except Exception:
                self._failed = True
                raise
        return self._actors

    def stop(self) -> None:
        """Kill the actors."""
        if self._actors is not None:
            self._actors.stop()
        self._actors = None

    def prompts(self, count: int) -> list[Prompt]:
        """Make the prompts of the first scenes."""
        source = scene_source(self.config, self.config.task, "train")
        with closing(make_renderer(self.config.environment)) as renderer:
            return prepare(source, range(count), renderer)[1]

    def sample(self, prompts: Sequence[Prompt], group: int, seed: int) -> list[Generation]:
        """Sample completions from the servers' policy."""
        longest = self.config.model.max_completion_tokens
        sampling = Sampling(group, self.config.temperature, longest, seed)
        return self.actors.servers.answer(prompts, sampling).result()

    def score(self, examples: Sequence[TrainingExample]) -> list[list[float]]:
        """Score completions by the learner."""
        with self.actors.learning():
            return self.actors.learner.logprobs(examples)

    def update(self, examples: Sequence[TrainingExample]) -> Metrics:
        """Train on completions."""
        batch = ray.put(TrainingBatch(tuple(examples)))
        self._step += 1
        with self.actors.learning():
            return self.actors.learner.update(self._step - 1, [batch])

    def _started(self) -> RunActors:
        actors = RunActors(self.config)
        try:
            actors.servers.wait()
            with actors.learning():
                actors.learner.load(self.config, None)
            actors.weights.publish()
        except BaseException:
            actors.stop()
            raise
        return actors


def sampler_agrees(run: TrainedRun) -> Finding:
    """Score vLLM's completions by the learner."""
    prompts = run.prompts(PROMPTS)
    examples = examples_of(prompts, run.sample(prompts, GROUP, seed=1))
    mean, text = agreeing(examples, run.score(examples), run.config.model.dtype)
    return Finding(text, {"logprob_difference": mean})


def rewarded_answers_rise(run: TrainedRun) -> Finding:
    """Make a GRPO update that rewards the first completion of each group, and score again.

    Raises:
        Failed: its probability, compared with the others', has not risen.
    """
    prompts = run.prompts(PROMPTS)
    examples = examples_of(prompts, run.sample(prompts, GROUP, seed=2))
    advantages = [1.5 if n % GROUP == 0 else -0.5 for n in range(len(examples))]
    before = run.score(examples)
    rewarded = [replace(each, advantage=a) for each, a in zip(examples, advantages, strict=True)]
    run.update(rewarded)
    after = run.score(examples)
    changes = [(sum(new) - sum(old)) / len(new) for new, old in zip(after, before, strict=True)]
    best = changes[::GROUP]
    rise = sum(best) / len(best)
    others = (sum(changes) - sum(best)) / (len(changes) - len(best))
    text = f"rewarded completions {rise:+.1e} nats a token, others {others:+.1e}"
    if not rise > others:
        raise Failed(f"an update does not prefer what is rewarded: {text}")
    return Finding(text, {"rewarded_rise": rise - others})


def adapter_syncs(run: TrainedRun) -> Finding:
    """Publish the trained weights, and score what the servers sample from them.

    Raises:
        Failed: the servers sample from older weights, or the weights have not changed.
    """
    prompts = run.prompts(PROMPTS)
    old = examples_of(prompts, run.sample(prompts, GROUP, seed=3))
    began = time.monotonic()
    run.actors.weights.publish()
    generations = run.sample(prompts, GROUP, seed=3)
    spent = time.monotonic() - began
    versions = {c.policy_version for group in generations for c in group.completions}
    if versions != {run.actors.weights.version}:
        raise Failed(f"completions are of the versions {sorted(versions)}")
    if not difference(old, run.score(old))[0]:
        raise Failed("the update has changed nothing")
    examples = examples_of(prompts, generations)
    mean, text = agreeing(examples, run.score(examples), run.config.model.dtype)
    return Finding(f"{text}; with sampling {spent:.1f} s", {"adapter_difference": mean})


def generation_speed(run: TrainedRun) -> Finding:
    """Measure the tokens a second of a server whose batch is full."""
    config = run.config
    group = config.algorithm.group_size if config.algorithm.uses_rollouts else GROUP
    prompts = run.prompts(max(1, config.runtime.max_num_seqs // group))
    run.sample(prompts[:1], group, seed=4)  # compiles what this shape needs
    began = time.monotonic()
    generations = run.sample(prompts, group, seed=5)
    spent = time.monotonic() - began
    completions = [c for generation in generations for c in generation.completions]
    speed = sum(len(each.token_ids) for each in completions) / spent
    figures = {"generated_tokens_per_s": speed}
    text = f"{speed:,.0f} tokens/s of {len(completions)} completions"
    if run.device != "cpu":
        estimate = decoding_seconds(config, len(completions))
        servers = config.runtime.inference_servers
        expected = len(completions) * config.model.max_completion_tokens * servers / estimate
        text += f"; physrl sweep --dry-run expects {expected:,.0f}"
        figures["generated_over_estimate"] = speed / expected
    return Finding(text, figures)


def update_speed(run: TrainedRun) -> Finding:
    """Measure the tokens a second of an update, and its share of the GPU's peak."""
    prompts = run.prompts(PROMPTS)
    examples = examples_of(prompts, run.sample(prompts, GROUP, seed=6))
    run.update(examples)
    began = time.monotonic()
    run.update([replace(each, advantage=(-1.0) ** n) for n, each in enumerate(examples)])
    spent = time.monotonic() - began
    model = run.config.model
    generations = run.sample(prompts, 1, seed=7)
    asked = sum(len(each.prompt_token_ids) for each in generations) * GROUP
    tokens = asked + sum(len(each.completion_ids) for each in examples)
    figures = {"updated_tokens_per_s": tokens / spent}
    text = f"{tokens / spent:,.0f} tokens/s"
    peak = next((value for name, value in PEAKS.items() if name in run.device), None)
    if peak is not None:
        ranks = run.config.runtime.learner_ranks
        passes = 2 + (model.lora is None)
        figures["mfu"] = 2 * parameters(model) * passes * tokens / (spent * peak * ranks)
        expected = tokens * ranks / update_seconds(model, tokens)
        figures["updated_over_estimate"] = tokens / spent / expected
        text += f", MFU {figures['mfu']:.1%}; physrl sweep --dry-run expects {expected:,.0f}"
    return Finding(text, figures)


def two_steps(run: TrainedRun) -> Finding:
    """Train two steps by the controller, and read how long who waited."""
    config = run.config
    open_run(config, resume=False)
    with _without_warnings():  # a random model has nothing to learn from
        Controller(config, run.actors, _Quiet(), StopRequest()).train()
    row = read_metrics(config.folder)[-1]
    idle = {name: row[f"idle/{name}"] for name in ("inference_servers", "learner")}
    seconds = row["time/step_s"]
    shares = ", ".join(f"{name.replace('_', ' ')} {share:.0%}" for name, share in idle.items())
    figures = {f"idle_{name}": share for name, share in idle.items()}
    return Finding(f"{seconds:.1f} s a step; idle: {shares}", figures | {"step_s": seconds})


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Hide warnings about training for the duration of the block."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


class _Quiet:
    """A reporter that shows nothing."""

    def phase(self, name: str) -> None: ...

    def step(self, step: int, metrics: Metrics) -> None: ...
