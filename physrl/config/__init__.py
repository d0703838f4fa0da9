"""Typed, frozen configuration; imports nothing heavy."""

from physrl.config.load import load_config
from physrl.config.run import RunConfig

__all__ = ["RunConfig", "load_config"]
