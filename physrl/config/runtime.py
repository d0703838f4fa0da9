"""Configuration of the processes of a run: their number, resources and deadlines."""

from typing import Any, Literal

from pydantic import Field, model_validator

from physrl.config.base import Section

Offload = Literal["none", "optimizer", "all"]


class RuntimeConfig(Section):
    """Ray actors of a run: number, resources, scheduling and deadlines."""

    mode: Literal["sync", "async"] = "sync"
    """Scheduling of generation and updates: `sync` trains on completions of the current policy
    only; `async` generates during updates, with a policy up to `max_staleness` steps old."""
    max_staleness: int = Field(1, ge=1, le=64)
    """Staleness bound of `async`, in steps: largest age of completions relative to the policy that
    they train, and most batches of completions that wait for the learner."""
    layout: Literal["disaggregated", "colocated"] = "disaggregated"
    """Placement on GPUs: servers and ranks on separate ones (`disaggregated`), or server i and rank
    i alternating on the same one (`colocated`)."""
    rollout_workers: int = Field(2, ge=1)
    """Rollout workers, which render and simulate, a core each."""
    inference_servers: int = Field(1, ge=1)
    """Inference servers, a vLLM engine each."""
    learner_ranks: int = Field(1, ge=1)
    """Learner ranks, under DeepSpeed."""
    gpus_per_server: float = Field(0, ge=0)
    """GPUs of each inference server; with a fraction, servers share a GPU; over several, of one
    machine, vLLM splits each layer (tensor parallelism)."""
    gpus_per_rank: Literal[0, 1] = 0
    """GPUs of each learner rank; 0: the learner runs on the CPU. NCCL allows no shared GPU."""
    threads: int = Field(1, ge=1)
    """OpenMP threads of each actor; more than there are cores is many times slower."""
    batching: Literal["fixed", "continuous"] = "fixed"
    """Division of prompts into the calls of servers and workers: `fixed` makes the same batches
    however the run goes, so that it resumes bit by bit; `continuous` sends each prompt alone to the
    least loaded server, and each group to a worker as soon as it is complete, which keeps GPUs
    busy. Unless set, `continuous` where servers have GPUs."""
    in_flight: Literal["finish", "abort"] = "finish"
    """Unfinished completions at a weight sync: `finish` completes them with the old weights first,
    `abort` drops them and generates them anew."""
    kv_cache_mb: int = Field(256, ge=16)
    """Memory of each server's KV cache, in MB."""
    max_num_seqs: int = Field(256, ge=1)
    """Most sequences that a server decodes in a batch (vLLM: max_num_seqs)."""
    vllm: dict[str, Any] = Field({})
    """Further engine arguments of vLLM, which replace those that are set here."""
    zero_stage: Literal[0, 1, 2, 3] = 0
    """ZeRO stage of DeepSpeed: shards optimizer states (1), gradients too (2), weights too (3)."""
    offload: Offload = "none"
    """Offload to host memory: nothing, the optimizer states, or the weights as well; GPUs only."""
    tokens_per_micro_batch: int = Field(8192, ge=64)
    """Most tokens in a rank's micro-batch, padding included."""
    worker_timeout_s: float = Field(120, gt=0)
    """Deadline of a rollout worker's call, in seconds; a worker that misses it is replaced."""
    generation_timeout_s: float = Field(900, gt=0)
    """Deadline of an inference server's call, in seconds; a server that misses it is replaced."""
    update_timeout_s: float = Field(3600, gt=0)
    """Deadline of an update, in seconds; if a learner rank misses it, all are restarted."""
    start_timeout_s: float = Field(900, gt=0)
    """Deadline of an actor's start, and of waiting for the cluster's resources, in seconds."""
    object_store_mb: int = Field(512, ge=128)
    """Shared memory of a local cluster's object store, in MB."""
    dashboard: bool = False
    """Start Ray's dashboard with a local cluster."""
    dashboard_port: int = Field(8265, ge=1024, le=65535)
    """Port of the dashboard."""
    profile_step: int | None = Field(None, ge=1)
    """Step to profile, counted from 1; its trace for Perfetto is written to `profile/`. Null:
    none."""

    @property
    def staleness(self) -> int:
        """Largest age of completions relative to the policy that they train, in steps."""
        return self.max_staleness if self.mode == "async" else 0

    @property
    def gpus(self) -> float:
        """Number of GPUs that a run needs; a colocated server and rank share one."""
        ranks = 0 if self.layout == "colocated" else self.learner_ranks * self.gpus_per_rank
        return self.inference_servers * self.gpus_per_server + ranks

    @property
    def tensor_parallel_size(self) -> int:
        """Number of processes over which vLLM splits each layer of a server."""
        stages: int = self.vllm.get("pipeline_parallel_size", 1)
        size: int = self.vllm.get(
            "tensor_parallel_size", max(1, int(self.gpus_per_server) // stages)
        )
        return size

    @property
    def server_shards(self) -> int:
        """Number of processes, each on a GPU if there are any, over which a server is split."""
        stages: int = self.vllm.get("pipeline_parallel_size", 1)
        return self.tensor_parallel_size * stages

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, tree: Any) -> Any:
        """Choose the batching of servers on GPUs."""
        if isinstance(tree, dict) and tree.get("gpus_per_server"):
            return {"batching": "continuous"} | tree
        return tree

    @model_validator(mode="after")
    def _check_server(self) -> "RuntimeConfig":
        for key in ("tensor_parallel_size", "pipeline_parallel_size"):
            degree = self.vllm.get(key, 1)
            if not isinstance(degree, int) or degree < 1:
                raise ValueError(f"has vllm.{key} {degree!r}: set it to a number of GPUs")
        if (backend := self.vllm.get("distributed_executor_backend", "mp")) not in ("mp", "uni"):
            raise ValueError(
                f"has vllm.distributed_executor_backend {backend!r}: a server stays on one "
                "machine, where its processes read adapters from one folder; remove the key, and "
                "set gpus_per_server to at most the GPUs of a machine"
            )
        if self.gpus_per_server and max(1, self.gpus_per_server) != self.server_shards:
            raise ValueError(
                f"has gpus_per_server {self.gpus_per_server:g}, but vLLM splits a server over "
                f"{self.server_shards} (vllm.tensor_parallel_size x pipeline_parallel_size): set "
                f"runtime.gpus_per_server={self.server_shards}, or remove the two keys"
            )
        return self

    @model_validator(mode="after")
    def _check_colocated(self) -> "RuntimeConfig":
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
    def _check_offload(self) -> "RuntimeConfig":
        if self.offload == "none":
            return self
        if not self.gpus_per_rank:
            raise ValueError(
                f"has offload {self.offload} but gpus_per_rank 0: without a GPU everything is "
                "in host memory already; set runtime.offload=none"
            )
        least = 3 if self.offload == "all" else 1
        if self.zero_stage < least:
            raise ValueError(
                f"has offload {self.offload} but zero_stage {self.zero_stage}: DeepSpeed offloads "
                f"what it shards; set runtime.zero_stage={least}"
            )
        return self
