"""A version of the policy, as a record that travels with every request."""

from dataclasses import dataclass
from typing import Literal

import ray


@dataclass(frozen=True, slots=True)
class Policy:
    """Which weights a request is about. A server that holds older ones fetches these first.

    So a server that was lost needs nobody to bring its successor up to date.
    """

    version: int
    """Counts up, and never repeats in a cluster; 0 is the base model."""
    form: Literal["base", "adapter", "weights"] = "base"
    """What `weights` leads to: the files of a PEFT adapter by name, or a whole state dict."""
    weights: ray.ObjectRef | None = None
    """In the object store; a field's reference is fetched only where it is asked for."""


BASE = Policy(0)
