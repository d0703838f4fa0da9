"""The configuration of a training run."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from physrl.config.algorithm import AlgorithmConfig, GRPOConfig, RLConfig, SFTConfig
from physrl.config.auxiliary import OutcomeConfig
from physrl.config.base import Section
from physrl.config.environment import EnvironmentConfig
from physrl.config.location import Location
from physrl.config.model import ModelConfig
from physrl.config.reward import RewardConfig, SimulatedRewardConfig
from physrl.config.task import TASKS, TaskName
from physrl.config.tracking import TrackingConfig

ExpandedPath = Annotated[Path, AfterValidator(Path.expanduser)]
Offload = Literal["none", "optimizer", "all"]
DEFAULT_TYPES = {"algorithm": "grpo", "warm_start": "sft", "reward": "simulated"}
"""What a table without a `type` is."""


class RuntimeConfig(Section):
    """How many Ray actors do what, and when they are given up."""

    mode: Literal["sync", "async"] = "sync"
    """`sync` learns from the current policy's completions alone; `async` generates while the
    learner works, from a policy that is up to `max_staleness` updates old."""
    max_staleness: int = Field(1, ge=1, le=64)
    """In `async`: how many steps completions may be older than the policy that they train, and how
    many steps' completions wait for the learner at most."""
    layout: Literal["disaggregated", "colocated"] = "disaggregated"
    """Servers and ranks on GPUs of their own, or server i and rank i in turns on the same one."""
    rollout_workers: int = Field(2, ge=1)
    """PyBullet workers, a core each."""
    inference_servers: int = Field(1, ge=1)
    """vLLM engines."""
    learner_ranks: int = Field(1, ge=1)
    """DeepSpeed ranks."""
    gpus_per_server: float = Field(0, ge=0)
    """Fractions share a GPU."""
    gpus_per_rank: Literal[0, 1] = 0
    """0: the learner runs on the CPU. NCCL refuses two ranks that share a GPU."""
    threads: int = Field(1, ge=1)
    """OpenMP threads of each actor; more than the cores allow is many times slower."""
    prompts_per_call: int = Field(16, ge=1)
    """Prompts that go together through a worker, a server and a worker again."""
    calls_per_server: int = Field(1, ge=1)
    """Calls that a server computes at once (continuous batching). With 1, completions are the same
    however the run goes; more keep a GPU busy while the last completions of a call are long."""
    in_flight: Literal["finish", "abort"] = "finish"
    """What becomes of completions under way when new weights come: they are finished on theirs
    first, or given up and begun again."""
    kv_cache_mb: int = Field(256, ge=16)
    """Memory of each server's key-value cache."""
    max_num_seqs: int = Field(256, ge=1)
    """Sequences that one server decodes at once."""
    vllm: dict[str, Any] = Field({})
    """More arguments of vLLM's own, such as tensor_parallel_size and
    distributed_executor_backend: ray for servers over several machines."""
    zero_stage: Literal[0, 1, 2, 3] = 0
    """What DeepSpeed splits over the ranks: optimizer (1), gradients (2), weights (3)."""
    offload: Offload = "none"
    """What waits in the host's memory, for GPUs: the optimizer's state, or the weights as well."""
    tokens_per_micro_batch: int = Field(8192, ge=64)
    """Padded tokens that a rank holds in one forward pass."""
    worker_timeout_s: float = Field(120, gt=0)
    """A worker that takes longer over one call hangs, and is replaced."""
    generation_timeout_s: float = Field(900, gt=0)
    """The same for a server."""
    update_timeout_s: float = Field(3600, gt=0)
    """The same for a learner rank."""
    start_timeout_s: float = Field(900, gt=0)
    """The same for an actor's start, and for the cluster to have room for the run."""
    object_store_mb: int = Field(512, ge=128)
    """Shared memory of a local cluster's object store: what travels between actors."""
    dashboard: bool = False
    """Start Ray's dashboard with a local cluster."""
    dashboard_port: int = Field(8265, ge=1024, le=65535)
    """Where the dashboard listens."""
    profile_step: int | None = Field(None, ge=1)
    """The step, counted from 1, of which `profile/` gets a trace for Perfetto; null: none."""

    @property
    def staleness(self) -> int:
        """How many steps completions may be older than the policy that they train."""
        return self.max_staleness if self.mode == "async" else 0

    @model_validator(mode="after")
    def _in_turns(self) -> "RuntimeConfig":
        if self.layout == "disaggregated":
            return self
        if self.mode == "async":
            raise ValueError(
                "has layout colocated but mode async: servers and ranks that share a GPU take "
                "turns; set runtime.mode=sync or runtime.layout=disaggregated"
            )
        if self.gpus_per_server != 1 or self.gpus_per_rank != 1:
            raise ValueError(
                f"has layout colocated but gpus_per_server {self.gpus_per_server:g} and "
                f"gpus_per_rank {self.gpus_per_rank}: set both to 1, or "
                "runtime.layout=disaggregated"
            )
        if self.inference_servers != self.learner_ranks:
            raise ValueError(
                f"has layout colocated but {self.inference_servers} inference_servers and "
                f"{self.learner_ranks} learner_ranks, which share GPUs: set as many of each"
            )
        return self

    @model_validator(mode="after")
    def _offloads_from_gpus(self) -> "RuntimeConfig":
        if self.offload == "none":
            return self
        if not self.gpus_per_rank:
            raise ValueError(
                f"has offload {self.offload} but gpus_per_rank 0: without a GPU all is in the "
                "host's memory anyway; set runtime.offload=none"
            )
        least = 3 if self.offload == "all" else 1
        if self.zero_stage < least:
            raise ValueError(
                f"has offload {self.offload} but zero_stage {self.zero_stage}: DeepSpeed offloads "
                f"what it splits; set runtime.zero_stage={least}"
            )
        return self


class EvaluationConfig(Section):
    """What a policy is measured on."""

    tasks: tuple[TaskName, ...] = ("place", "stability")
    """On which tasks, each named once."""
    scenes: int = Field(256, ge=1)
    """Held-out scenes of each task, the same for every policy."""
    real_images: ExpandedPath | None = None
    """Photographs: a folder with labels.csv, or a Parquet file."""
    data: dict[TaskName, Location] = Field({})
    """Collected datasets of split `test` by task, whose scenes are asked about instead of newly
    drawn ones; each must have the run's environment."""
    every: int = Field(0, ge=0)
    """Evaluate greedily on validation scenes of the trained task every so many steps; 0: never."""

    @field_validator("tasks")
    @classmethod
    def _each_once(cls, tasks: tuple[TaskName, ...]) -> tuple[TaskName, ...]:
        if not tasks or len(set(tasks)) < len(tasks):
            raise ValueError(
                f"is [{', '.join(tasks)}]: name at least one of {', '.join(TASKS)}, and none twice"
            )
        return tasks


class CheckpointConfig(Section):
    """What is kept of a run."""

    every: int = Field(20, ge=1)
    """Steps between checkpoints; the last step always leaves one."""
    keep_last: int = Field(2, ge=1)
    """Older checkpoints are deleted, here and in `storage`."""
    keep_best: int = Field(0, ge=0)
    """Checkpoints that stay besides, by validation accuracy where it is measured, else by the mean
    reward of their step."""


class RunConfig(Section):
    """Everything that decides what a run does."""

    name: str = Field("run", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """The run's folder inside `output`."""
    seed: int = Field(0, ge=0, le=2**31 - 1)
    """Of scenes, sampling and new weights."""
    output: Annotated[ExpandedPath, AfterValidator(Path.absolute)] = Field(
        Path("runs"), validate_default=True
    )
    """Folder that holds a folder for each run."""
    storage: Location | None = None
    """A folder, or s3://bucket/prefix, where the run is kept as well: from there it is resumed on
    another machine, and `physrl pull` brings its checkpoints."""
    task: TaskName = "place"
    """What is trained on."""
    mixture: tuple[TaskName, ...] = ()
    """Train on these tasks in turn, scene by scene; `task` is the first of them. Empty: on `task`
    alone."""
    environment: EnvironmentConfig = EnvironmentConfig()
    """Which scenes."""
    curriculum: Literal["uniform", "self_play"] = "uniform"
    """How training scenes are chosen: all alike, or those oftener on which about half of a group's
    completions succeed."""
    data: Location | None = None
    """A collected dataset, a folder or s3://bucket/prefix, whose scenes are trained on instead of
    newly drawn ones; it must have this task and environment."""
    model: ModelConfig = ModelConfig()
    """Which model, and which of its weights."""
    algorithm: AlgorithmConfig = GRPOConfig()
    """How it learns."""
    warm_start: SFTConfig | None = None
    """A short SFT before the run (the keys of `algorithm`, type sft): something to reinforce."""
    reward: RewardConfig = SimulatedRewardConfig()
    """What an outcome is worth."""
    auxiliary: OutcomeConfig | None = None
    """What is learned beside: to foretell what the simulator will show. Null: nothing."""
    temperature: float = Field(1.0, gt=0, le=2)
    """Of sampled completions; the learner scores them at the same temperature."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """How it is measured."""
    checkpoint: CheckpointConfig = CheckpointConfig()
    """What is kept."""
    tracking: TrackingConfig = TrackingConfig()
    """Who is told of its metrics."""
    runtime: RuntimeConfig = RuntimeConfig()
    """Which processes do the work."""

    @property
    def folder(self) -> Path:
        """Where this run writes."""
        return self.output / self.name

    @property
    def stored(self) -> str | None:
        """Where this run is kept besides; None if nowhere."""
        return None if self.storage is None else f"{self.storage}/{self.name}"

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, tree: Any) -> Any:
        """A table without a `type` is of the default type; the default model's path is resolved."""
        if not isinstance(tree, dict):
            return tree
        tables = {key: tree[key] for key in DEFAULT_TYPES if isinstance(tree.get(key), dict)}
        typed = {key: {"type": DEFAULT_TYPES[key]} | table for key, table in tables.items()}
        return {"model": {}} | tree | typed

    @property
    def tasks(self) -> tuple[TaskName, ...]:
        """All that is trained on."""
        return self.mixture or (self.task,)

    @model_validator(mode="after")
    def _mixes(self) -> "RunConfig":
        if not self.mixture:
            return self
        named = f"mixture is [{', '.join(self.mixture)}]"
        if self.mixture[0] != self.task or len(set(self.mixture)) < len(self.mixture):
            raise ValueError(
                f"{named} and task is {self.task}: begin the mixture with the task, and name none "
                "twice"
            )
        if self.data is not None:
            raise ValueError(f"{named} but data holds one task's scenes: set data=null")
        return self

    @model_validator(mode="after")
    def _kept_elsewhere(self) -> "RunConfig":
        if self.storage is not None and not self.storage.startswith("s3://"):
            place = Path(self.storage)
            if place == self.output or place.is_relative_to(self.folder):
                raise ValueError(
                    f"storage is {place}, where the run itself writes: name another folder, or set "
                    "storage=null"
                )
        return self

    @model_validator(mode="after")
    def _proposes(self) -> "RunConfig":
        if self.curriculum == "self_play":
            if isinstance(self.algorithm, SFTConfig):
                raise ValueError(
                    "curriculum is self_play but algorithm.type is sft, which has no successes to "
                    "go by: set curriculum=uniform"
                )
            if self.data is not None:
                raise ValueError(
                    f"curriculum is self_play but data is {self.data}, whose scenes are given: set "
                    "data=null or curriculum=uniform"
                )
        return self

    @model_validator(mode="after")
    def _foretells(self) -> "RunConfig":
        auxiliary = self.auxiliary
        if auxiliary is None or auxiliary.foretells or isinstance(self.algorithm, SFTConfig):
            return self
        raise ValueError(
            f"auxiliary.mode is {auxiliary.mode} but algorithm.type is {self.algorithm.type}, "
            "which imitates no second answer: set auxiliary.mode=before or algorithm.type=sft"
        )

    @model_validator(mode="after")
    def _consistent(self) -> "RunConfig":
        for table, algorithm in (("algorithm", self.algorithm), ("warm_start", self.warm_start)):
            if algorithm is None:
                continue
            if isinstance(algorithm, SFTConfig):
                batch, made_of = algorithm.prompts_per_step, "prompts_per_step"
            else:
                batch = algorithm.prompts_per_step * algorithm.group_size
                made_of = "prompts_per_step x group_size"
            check_divisible(
                f"{table}: {made_of}",
                batch,
                algorithm.updates_per_rollout,
                self.runtime.learner_ranks,
            )
        if not isinstance(self.algorithm, SFTConfig):
            check_fits(self.algorithm, self.model)
            self._check_parts(self.algorithm)
            if self.data is not None and self.algorithm.max_refills:
                raise ValueError(
                    f"data is {self.data} and algorithm.max_refills is "
                    f"{self.algorithm.max_refills}, but a dataset has no scenes to refill from: "
                    "set algorithm.max_refills=0"
                )
        if self.model.quantization is not None:
            self._check_quantization()
        imitates = isinstance(self.algorithm, SFTConfig) or self.warm_start is not None
        if self.model.lora is not None and self.model.lora.dropout and not imitates:
            raise ValueError(
                f"model.lora.dropout is {self.model.lora.dropout:g} but nothing is trained by SFT, "
                "and reinforcement drops nothing: set model.lora.dropout=0"
            )
        return self

    def _check_parts(self, algorithm: RLConfig) -> None:
        parts = [*type(self.reward).model_fields, "overlong"]
        parts.remove("type")
        if self.auxiliary is not None:
            parts.append("outcome")
        for name in algorithm.reward_weights:
            if name not in parts:
                raise ValueError(
                    f"algorithm.reward_weights names '{name}', which is no part of this reward: "
                    f"choose from {', '.join(parts)}"
                )

    def _check_quantization(self) -> None:
        what = f"model.quantization is {self.model.quantization}"
        if not (self.runtime.gpus_per_rank and self.runtime.gpus_per_server):
            raise ValueError(
                f"{what}: needs a GPU with bitsandbytes; set runtime.gpus_per_rank=1 and "
                "runtime.gpus_per_server=1 where there are any, or model.quantization=null"
            )
        if self.runtime.zero_stage == 3:
            raise ValueError(
                f"{what} but runtime.zero_stage is 3, which cannot split quantized weights: set "
                "runtime.zero_stage=2"
            )


def check_fits(algorithm: RLConfig, model: ModelConfig) -> None:
    """Refuse an algorithm that the model cannot follow.

    Raises:
        ValueError: with the values.
    """
    if algorithm.beta > 0 and model.lora is None:
        raise ValueError(
            f"algorithm.beta is {algorithm.beta:g} but model.lora is null: the KL term needs the "
            "base model under an adapter; set model.lora.rank=16 or algorithm.beta=0"
        )
    if algorithm.overlong_cache > model.max_completion_tokens:
        raise ValueError(
            f"algorithm.overlong_cache is {algorithm.overlong_cache} but no completion is longer "
            f"than model.max_completion_tokens = {model.max_completion_tokens}: set it below"
        )


def check_divisible(what: str, batch: int, updates: int, ranks: int) -> None:
    """Refuse a batch that does not give each rank an equal part in each update.

    Raises:
        ValueError: with all values; `what` says whose batch, and what it is made of.
    """
    parts = updates * ranks
    if batch % parts:
        raise ValueError(
            f"{what} = {batch} is not divisible by updates_per_rollout x learner_ranks = "
            f"{updates} x {ranks} = {parts}: change one of them"
        )
