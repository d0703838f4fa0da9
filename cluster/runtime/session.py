"""The Ray cluster that a job runs on: the one that is there, or one of its own."""

import logging
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from cluster.runtime.authentication import cluster_announced
from cluster.runtime.placement import cpus, gpus
from physrl.config.runtime import RuntimeConfig
from physrl.errors import UserError

logger = logging.getLogger(__name__)

ENVIRONMENT = {
    # Actors without a GPU of their own must see none.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    "RAY_DEDUP_LOGS": "1",
    # A failed call's error comes with each of its results, of which one is looked at.
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Actors have processes of their own: one for each core, started in advance, would only cost.
    "RAY_prestart_worker_first_driver": "0",
    # A local cluster's workers are the run: at Ray's nice 15 they would get a twentieth of a core
    # beside any other busy process.
    "RAY_worker_niceness": "0",
}


@contextmanager
def ray_session(runtime: RuntimeConfig) -> Iterator[None]:
    """Join a running Ray cluster, or start a local one and end it on leaving.

    In a process that Ray runs, such as a trial's, there is nothing to do.
    """
    if ray.is_initialized():
        yield
        return
    os.environ.update({key: os.environ.get(key, value) for key, value in ENVIRONMENT.items()})
    joins = cluster_announced()
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


def check_gpus(runtime: RuntimeConfig, there: float) -> None:
    """Refuse a run that would wait for ever for GPUs; a cluster that is joined may yet grow.

    Raises:
        UserError: with both numbers.
    """
    needed = gpus(runtime)
    if needed > there:
        raise UserError(
            f"runtime asks for {needed:g} GPUs for {runtime.inference_servers} servers and "
            f"{runtime.learner_ranks} ranks, but this machine has {there:g}: lower "
            "runtime.inference_servers, gpus_per_server, learner_ranks or gpus_per_rank, or join "
            "a cluster that has more"
        )


def actor_environment(threads: int) -> dict[str, str]:
    """Environment of an actor's process; two OpenMP threads on a busy core cost more than one."""
    return {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_VERBOSITY": "error",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "DS_LOG_LEVEL": "WARNING",
        "PATH": os.environ["PATH"],  # DeepSpeed looks for ninja on it
    }


def _join() -> None:
    try:
        ray.init(address="auto", logging_level=logging.WARNING)
    except ConnectionError:
        raise UserError(
            "a Ray cluster is announced (RAY_ADDRESS or an earlier `ray start`) but does not "
            "answer: start it, or unset RAY_ADDRESS and run `ray stop`"
        ) from None
    logger.info("joined the Ray cluster at %s", ray.get_runtime_context().gcs_address)


def _start_local(runtime: RuntimeConfig) -> None:
    with _own_process_groups():
        ray.init(
            address="local",
            include_dashboard=runtime.dashboard,
            dashboard_host="127.0.0.1",
            dashboard_port=runtime.dashboard_port,
            # More actors than cores are slow, not impossible.
            num_cpus=max(os.cpu_count() or 1, math.ceil(cpus(runtime))),
            object_store_memory=runtime.object_store_mb << 20,
            logging_level=logging.WARNING,
            log_to_driver=False,
        )


@contextmanager
def _own_process_groups() -> Iterator[None]:
    """Started processes lead groups of their own.

    `timeout` and others send SIGTERM to a command's whole group: Ray's processes would be gone
    before the driver has a checkpoint. They still end with their driver, however it dies.
    """
    starting = True

    def lead() -> None:
        if starting:
            os.setpgid(0, 0)

    os.register_at_fork(after_in_child=lead)  # for good
    try:
        yield
    finally:
        starting = False
