"""The whole weight sync, from the learner's ranks to the engines of the inference servers.

    learner ranks    gather the trained weights; the first rank puts them into the object store
         |           (the files of an adapter, or a full state dict)
         v
    Policy           name, version and that reference: it travels with every request
         |
         v
    each server      fetches versions newer than its own (`FetchedWeights`), while its engine runs
         |
         v
    EngineLoop       waits for the completions in flight, or aborts them (`runtime.in_flight`)
         |
         v
    VLLMEngine       loads an adapter under a new name, or full weights (`in_process`), and empties
                     the caches that were computed with the old weights

Servers pull: one that was lost or asleep fetches the weights with its next request.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

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


class WeightSource(Protocol):
    """The holder of trained weights: the learner."""

    def weights(self) -> ray.ObjectRef:
        """Gather the trained weights: an adapter's files by name, or a state dict."""
        ...


class WeightSink(Protocol):
    """The sampler from a policy: the inference servers."""

    def serve(self, policy: Policy, *, wait: bool) -> None:
        """Sample from this policy from now on."""
        ...


class WeightSync:
    """Publishes the learner's weights under versions that never repeat.

    Args:
        adapters: True if the learner trains an adapter, False if it trains all weights.
        wait: True to return from `publish` after the servers have loaded the weights, as is needed
            if the learner shares their GPUs; False to let them load in the background.
    """

    def __init__(
        self, learner: WeightSource, servers: WeightSink, *, adapters: bool, wait: bool
    ) -> None:
        self._learner, self._servers = learner, servers
        self._form: Literal["adapter", "weights"] = "adapter" if adapters else "weights"
        self._wait = wait
        self.version = BASE.version
        """Version that completions are sampled from; 0 is the base model."""

    def continue_from(self, version: int) -> None:
        """Continue to count from the version of a checkpoint."""
        self.version = max(self.version, version)

    def publish(self) -> None:
        """Sample completions from the learner's current weights from now on."""
        self.version += 1
        policy = Policy(BASE.name, self.version, self._form, self._learner.weights())
        self._servers.serve(policy, wait=self._wait)

    def publish_adapter(self, folder: Path) -> None:
        """Sample completions from an adapter in a local folder from now on."""
        from physrl.models.adapter import adapter_content  # imports torch

        files = adapter_content(folder)
        self.version += 1
        policy = Policy(BASE.name, self.version, "adapter", ray.put(files))
        self._servers.serve(policy, wait=True)


class FetchedWeights:
    """The weights of a policy on a server's machine."""

    def __init__(self, policy: Policy) -> None:
        """Fetch the weights from the object store, unless they are in a shared folder."""
        self.policy = policy
        self.state_dict: Mapping[str, Any] | None = None
        """Full weights that were fetched."""
        self.folder: Path | None = None
        """Folder of an adapter or a checkpoint; that of a fetched adapter is temporary, and is
        removed with this object."""
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        if isinstance(policy.source, str):
            self.folder = Path(policy.source)
        elif policy.form == "adapter":
            self._temporary = tempfile.TemporaryDirectory()
            self.folder = Path(self._temporary.name)
            for name, content in ray.get(policy.source).items():
                (self.folder / name).write_bytes(content)
        elif policy.form == "weights":
            self.state_dict = ray.get(policy.source)
