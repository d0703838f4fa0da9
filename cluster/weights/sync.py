"""The weight sync, whole: from the learner's ranks to the engines of the inference servers.

    learner ranks    gather what is trained; the first rank leaves it in the object store
         |           (an adapter's files, or a whole state dict)
         v
    Policy           name, version and that reference: it travels with every request
         |
         v
    each server      fetches a version that is newer than its own (`fetch`), while its engine works
         |
         v
    EngineLoop       waits for the completions under way, or aborts them (`runtime.in_flight`)
         |
         v
    VLLMEngine       loads an adapter under a new name, or all weights (`in_process`) and empties
                     the caches that were computed with the old ones

No process pushes: a server that was lost, or was asleep, catches up with its next request.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import ray

from cluster.weights.policy import BASE, Policy


class WeightSource(Protocol):
    """Holds trained weights; the learner."""

    def weights(self) -> ray.ObjectRef:
        """Gather what is trained: an adapter's files by name, or a state dict."""
        ...


class WeightSink(Protocol):
    """Samples from a policy; the inference servers."""

    def serve(self, policy: Policy, *, wait: bool) -> None:
        """Sample from this policy from now on."""
        ...


class WeightSync:
    """Publishes the learner's weights under versions that never repeat.

    Args:
        adapters: whether the learner trains an adapter, or all weights.
        wait: whether servers take new weights before `publish` returns, as they must where learners
            will want the same GPUs; else they do so in the background.
    """

    def __init__(
        self, learner: WeightSource, servers: WeightSink, *, adapters: bool, wait: bool
    ) -> None:
        self._learner, self._servers = learner, servers
        self._form: Any = "adapter" if adapters else "weights"
        self._wait = wait
        self.version = BASE.version
        """The version that completions are sampled from; 0 is the base model."""

    def continue_from(self, version: int) -> None:
        """Count on from a checkpoint's version."""
        self.version = max(self.version, version)

    def publish(self) -> None:
        """Have completions sampled from the learner's weights from now on."""
        self.version += 1
        policy = Policy(BASE.name, self.version, self._form, self._learner.weights())
        self._servers.serve(policy, wait=self._wait)

    def publish_adapter(self, folder: Path) -> None:
        """Have completions sampled from an adapter in a folder of this machine from now on."""
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        self.version += 1
        policy = Policy(BASE.name, self.version, "adapter", ray.put(files))
        self._servers.serve(policy, wait=True)


class FetchedWeights:
    """A policy's weights on a server's machine."""

    def __init__(self, policy: Policy) -> None:
        """Fetch them from the object store, unless they lie in a folder that every machine sees."""
        self.policy = policy
        self.state_dict: Mapping[str, Any] | None = None
        """Of the form `weights`, unless they are a folder."""
        self.folder: Path | None = None
        """An adapter's, or a checkpoint's; an adapter's goes with this object."""
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
