"""The kind of processors that a command uses."""

from enum import StrEnum


class Device(StrEnum):
    """Processors that a check uses."""

    GPU = "gpu"
    CPU = "cpu"
