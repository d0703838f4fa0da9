"""Environment variables that configure vLLM before it is imported."""

from pathlib import Path

from physrl.config.model import ModelConfig
from physrl.config.runtime import RuntimeConfig


def engine_environment(model: ModelConfig, runtime: RuntimeConfig) -> dict[str, str]:
    """Make the variables, to be set before vLLM is imported, and preferably before torch is."""
    environment = {
        # Weights are passed in memory, and a separate process would cost a minute and 2 GB.
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_NO_USAGE_STATS": "1",
        # On CPU it logs a warning for every image.
        "VLLM_LOGGING_LEVEL": "ERROR",
        # OMP_NUM_THREADS counts; binding would put all engines of a machine on the same cores.
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    }
    if not runtime.gpus_per_server:
        # vLLM's sampler compiles a small function at its first batch, which takes 20 s.
        environment["TORCH_COMPILE_DISABLE"] = "1"
    if Path(model.path).is_dir():
        environment["HF_HUB_OFFLINE"] = "1"
    return environment
