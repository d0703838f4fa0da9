"""Configurations of short runs of the tiny base."""

from typing import Any

from physrl.config.load import merge, validate
from physrl.config.run import RunConfig
from tests.support.paths import TINY_BASE


def make_config(**changes: Any) -> RunConfig:
    """Make the configuration of a short run, with other values where given, table by table."""
    defaults = {
        "task": "stability",  # the base answers at chance, so that rewards in a group differ
        "model": {"path": str(TINY_BASE), "max_prompt_tokens": 96},
        "algorithm": {"type": "grpo", "lr": 1e-3, "max_grad_norm": 1.0},
        "runtime": {"kv_cache_mb": 64, "max_num_seqs": 64},
    }
    return validate(merge(defaults, changes))
