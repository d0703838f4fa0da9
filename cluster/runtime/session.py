"""The Ray session of a job: on a running cluster if there is one, else on a local one."""

import logging
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from cluster.runtime.authentication import announced_address
from cluster.runtime.placement import required_cpus, required_gpus
from physrl.config.runtime import RuntimeConfig
from physrl.errors import UserError

logger = logging.getLogger(__name__)

LARGEST_ANSWER = 8 << 10
"""Bytes of a result up to which it does not stay in the object store of the actor's machine."""

ENVIRONMENT = {
    # Actors that reserve no GPU must see none.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    "RAY_DEDUP_LOGS": "1",
    # Each result of a failed call holds the error, but only one of them is read.
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Actors start processes of their own: a prestarted process for each core would be of no use.
    "RAY_prestart_worker_first_driver": "0",
    # The workers of a local cluster do the run's work: at Ray's nice value of 15 they would get a
    # twentieth of a core next to any other busy process.
    "RAY_worker_niceness": "0",
}


@contextmanager
def ray_session(runtime: RuntimeConfig) -> Iterator[None]:
    """Join a running Ray cluster, or start a local one and end it when the block exits.

    In a process that Ray runs, such as a trial's, this has no effect.
    """
    if ray.is_initialized():
        yield
        return
    os.environ.update({key: os.environ.get(key, value) for key, value in ENVIRONMENT.items()})
    joins = announced_address() is not None
    if joins:
        _join()
    else:
        _start_local(runtime)
    try:
        if not joins:
            check_gpus(runtime, ray.cluster_resources().get("GPU", 0))
        yield
    finally:
        ray.shutdown()


def check_gpus(runtime: RuntimeConfig, available: float) -> None:
    """Check that a local cluster has the GPUs that a run needs; a joined one may still grow.

    Raises:
        UserError: it has too few.
    """
    needed = required_gpus(runtime)
    if needed > available:
        raise UserError(
            f"runtime needs {needed:g} GPUs for {runtime.inference_servers} servers and "
            f"{runtime.learner_ranks} ranks, but this machine has {available:g}: lower "
            "runtime.inference_servers, gpus_per_server, learner_ranks or gpus_per_rank, or join "
            "a cluster with more GPUs"
        )


def actor_environment(threads: int) -> dict[str, str]:
    """Make the environment variables of an actor.

    Args:
        threads: OpenMP threads; on a busy core, two are slower than one.
    """
    return {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_VERBOSITY": "error",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "DS_LOG_LEVEL": "WARNING",
        "PATH": os.environ["PATH"],  # DeepSpeed needs ninja
        # Results up to this size travel to the driver, and from it to the next actor: numbers
        # should, but not a group's completions, which Ray's 100 KiB would admit.
        "RAY_max_direct_call_object_size": str(LARGEST_ANSWER),
    }


def _join() -> None:
    try:
        ray.init(address="auto", logging_level=logging.WARNING)
    except ConnectionError:
        raise UserError(
            "a Ray cluster is announced (by RAY_ADDRESS or an earlier `ray start`) but cannot be "
            "reached: start it, or unset RAY_ADDRESS and run `ray stop`"
        ) from None
    logger.info("joined the Ray cluster at %s", ray.get_runtime_context().gcs_address)


def _start_local(runtime: RuntimeConfig) -> None:
    with _own_process_groups():
        ray.init(
            address="local",
            include_dashboard=runtime.dashboard,
            dashboard_host="127.0.0.1",
            dashboard_port=runtime.dashboard_port,
            # More actors than cores are slow, but they work.
            num_cpus=max(os.cpu_count() or 1, math.ceil(required_cpus(runtime))),
            object_store_memory=runtime.object_store_mb << 20,
            logging_level=logging.WARNING,
            log_to_driver=False,
        )


@contextmanager
def _own_process_groups() -> Iterator[None]:
    """Make the processes that the block starts leaders of process groups of their own.

    `timeout` and other programs send SIGTERM to the whole group of a command, which would end Ray
    before the driver has saved a checkpoint. Ray's processes still end with their driver, even if
    it is killed.
    """
    starting = True

    def lead() -> None:
        if starting:
            os.setpgid(0, 0)

    os.register_at_fork(after_in_child=lead)  # cannot be undone
    try:
        yield
    finally:
        starting = False
