"""The record of a policy, which travels with every request for completions."""

from dataclasses import dataclass
from typing import Literal

import ray


@dataclass(frozen=True, slots=True)
class Policy:
    """The weights to sample a request's completions from.

    A server that does not hold them fetches them first, so that a replaced server needs no special
    treatment.
    """

    name: str
    """Name that is unique in the cluster; a newer version replaces older ones of the same name."""
    version: int = 0
    """Version number, which increases; completions carry it."""
    form: Literal["base", "adapter", "weights"] = "base"
    """The configured checkpoint, a PEFT adapter for it, or a full state dict."""
    source: ray.ObjectRef | str | None = None
    """Reference to an adapter's files by name, or to a state dict; or a folder of an adapter or a
    checkpoint that all machines share. Ray fetches a field's reference only on request."""


BASE = Policy("policy")
"""The policy of a run before training."""
