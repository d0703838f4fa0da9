"""A policy, as a record that travels with every request for completions."""

from dataclasses import dataclass
from typing import Literal

import ray


@dataclass(frozen=True, slots=True)
class Policy:
    """The weights that a request is for. A server that does not hold them fetches them first.

    So a server that was lost needs nobody to bring its successor up to date.
    """

    name: str
    """Unique in a cluster; a newer version supersedes the older ones of its name."""
    version: int = 0
    """Counts up; completions carry it."""
    form: Literal["base", "adapter", "weights"] = "base"
    """The configured checkpoint, a PEFT adapter on it, or a whole state dict."""
    source: ray.ObjectRef | str | None = None
    """A reference to an adapter's files by name, or to a state dict; or a folder that every machine
    sees, of an adapter or a checkpoint. A field's reference is fetched only where it is used."""


BASE = Policy("policy")
"""The policy of a run before training."""
