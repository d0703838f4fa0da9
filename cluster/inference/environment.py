"""How vLLM is told to behave, before it is imported."""

from pathlib import Path

from physrl.config.model import ModelConfig
from physrl.config.runtime import RuntimeConfig


def engine_environment(model: ModelConfig, runtime: RuntimeConfig) -> dict[str, str]:
    """Environment variables that must stand before vLLM, and best before torch, is imported."""
    environment = {
        # Weights are handed over in memory, and a process apart costs a minute and 2 GB.
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_NO_USAGE_STATS": "1",
        # On CPU it warns at every picture.
        "VLLM_LOGGING_LEVEL": "ERROR",
        # OMP_NUM_THREADS decides; binding would put all engines of a machine on the same cores.
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    }
    if not runtime.gpus_per_server:
        # vLLM's sampler compiles one small function at its first batch: 20 s that never pay.
        environment["TORCH_COMPILE_DISABLE"] = "1"
    if Path(model.path).is_dir():
        environment["HF_HUB_OFFLINE"] = "1"
    return environment
