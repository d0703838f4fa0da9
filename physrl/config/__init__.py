"""Typed, frozen configuration, importable without PyTorch, PyBullet or transformers."""

from physrl.config.load import load_config
from physrl.config.run import RunConfig

__all__ = ["RunConfig", "load_config"]
