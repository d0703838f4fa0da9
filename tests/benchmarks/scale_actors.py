"""Stand-ins for a cluster's actors, many in one process: they wait where real ones compute.

Workers give recorded groups through the real worker's methods, servers wait as long as decoding
takes, ranks as long as an update. The controller, its pools and its queue call them as they call
actors: `hosted` puts hosts of many in the place of `ray.remote`.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cluster  # noqa: F401  (before Ray, whose token it sets)

# isort: split
import ray
from scale_model import GROUP, Assumed, Queue, Recorded

from cluster.inference.server import InferenceServer
from cluster.learner.rank import LearnerRank
from cluster.rollout.worker import RolloutWorker
from cluster.runtime.batching import Layout, unpack
from cluster.runtime.session import LARGEST_ANSWER, actor_environment
from cluster.weights.sync import Policy
from physrl.algorithms.budget import KEYS
from physrl.groups import GroupState
from physrl.protocols import RolloutRequest, Sampling
from physrl.training_records import TrainingExample
from physrl.types import Generation

CALLS = 100_000
"""Concurrent calls of a host: no limit."""
ADAPTER_BYTES = 1 << 20
"""Bytes of the adapter that is put into the object store; its loading takes as long as a whole."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A result, and the seconds after which it is returned."""

    seconds: float
    result: Any


@dataclass(frozen=True, slots=True)
class Costs:
    """What the stubs wait for."""

    recorded: Recorded
    assumed: Assumed
    learn_s: float
    """Duration of an update."""


class RecordedWorld:
    """Recorded groups in the place of renderer and simulator."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded

    def prepare(self, request: RolloutRequest, index: int) -> GroupState:
        prepared = self._recorded.prepared
        return replace(prepared[index % len(prepared)], index=index)

    def act(
        self, request: RolloutRequest, state: GroupState, generations: list[Generation]
    ) -> GroupState:
        """Return the recorded group with the versions of the given completions."""
        complete = self._recorded.complete
        record = complete[state.index % len(complete)].record
        rollouts = tuple(
            replace(
                rollout,
                attempts=(replace(rollout.last, completion=completion),),
            )
            for rollout, completion in zip(record.rollouts, generations[0].completions, strict=True)
        )
        return GroupState(state.index, replace(record, rollouts=rollouts), ())


class StubWorker(RolloutWorker):
    """A real worker over recorded groups, which takes as long as rendering and physics."""

    def __init__(self, costs: Costs) -> None:
        self._world = RecordedWorld(costs.recorded)  # type: ignore[assignment]
        recorded = costs.recorded
        self._draw_s = recorded.draw_s / len(recorded.prepared)
        self._carry_out_s = recorded.carry_out_s / len(recorded.prepared)

    def prepare(self, request: RolloutRequest, layout: Layout, *objects: Any) -> Any:
        return Wait(len(layout) * self._draw_s, super().prepare(request, layout, *objects))

    def act(self, request: RolloutRequest, layout: Layout, *objects: Any) -> Any:
        return Wait(len(layout) * self._carry_out_s, super().act(request, layout, *objects))


class StubServer:
    """A server that decodes so many groups at once, each as long as in the model."""

    def __init__(self, costs: Costs, *arguments: Any) -> None:
        assumed = costs.assumed
        self._generations = costs.recorded.generations
        self._slots = Queue(assumed.slots)
        self._group_s = assumed.completion_tokens * GROUP * assumed.slots / assumed.decode_per_s
        self._load_s = assumed.adapter_load_s
        self._version = -1

    def ready(self) -> None: ...

    def generate(self, policy: Policy, sampling: Sampling, layout: Layout, *objects: Any) -> Any:
        now = time.monotonic()
        ends = [self._slots.serve(now, self._group_s) for _ in layout]
        generations = [
            self._answers(policy, state.index) for _, (state,) in unpack(layout, objects)
        ]
        return Wait(
            self._fetch_s(policy) + max(ends) - now,
            ([len(each.completions) for each in generations], *generations),
        )

    def load(self, policy: Policy) -> Wait:
        return Wait(self._fetch_s(policy), None)

    def _fetch_s(self, policy: Policy) -> float:
        """Fetch an adapter from the object store as a real server does, and time its loading."""
        if policy.version <= self._version:
            return 0.0
        self._version = policy.version
        return self._load_s

    def _answers(self, policy: Policy, index: int) -> Generation:
        recorded = self._generations[index % len(self._generations)]
        completions = (
            replace(each, policy_version=policy.version) for each in recorded.completions
        )
        return replace(recorded, completions=tuple(completions))


class StubRank(LearnerRank):
    """A rank that waits for an update. The first takes its samples as a real one does."""

    def __init__(self, costs: Costs, rank: int, threads: int) -> None:
        self._costs, self._rank = costs, rank

    def rendezvous(self, world_size: int) -> tuple[str, int]:
        return "", 0

    def join(self, *arguments: Any) -> None: ...

    def load(self, *arguments: Any) -> None: ...

    def receive(self, *parts: Any) -> None:
        if self._rank == 0:
            parts[0].read()

    def update(self, step: int, profile: Path | None) -> Any:
        return Wait(self._costs.learn_s, {"loss": 0.0} | {f"step/{key}": 0.0 for key in KEYS})

    def logprobs(self, examples: Sequence[TrainingExample]) -> list[list[float]]:
        return [list(each.sampling_logprobs) for each in examples]

    def weights(self) -> tuple[int, dict[str, Any]]:
        return 1, {"adapter_model.safetensors": bytes(ADAPTER_BYTES)} if self._rank == 0 else {}

    def save_model(self, folder: Path) -> None:
        if self._rank == 0:
            (folder / "adapter").mkdir()
            (folder / "adapter" / "adapter_model.safetensors").write_bytes(bytes(8))

    def save_state(self, folder: Path) -> None: ...


STUBS: dict[type, tuple[type, int]] = {
    RolloutWorker: (StubWorker, 2),
    InferenceServer: (StubServer, 1),
    LearnerRank: (StubRank, 1),
}
"""The stub of each actor's class, and the processes that hold them."""


class Host:
    """A Ray actor of many stubs."""

    def __init__(self, kind: type, costs: Costs) -> None:
        self._kind, self._costs = kind, costs
        self._stubs: dict[int, Any] = {}

    async def start(self, number: int, *arguments: Any) -> None:
        self._stubs[number] = self._kind(self._costs, *arguments)

    async def call(self, number: int, method: str, *arguments: Any) -> Any:
        while number not in self._stubs:  # calls of an asynchronous actor may overtake each other
            await asyncio.sleep(0.01)
        result = getattr(self._stubs[number], method)(*arguments)
        if isinstance(result, Wait):
            await asyncio.sleep(result.seconds)
            return result.result
        return result


@dataclass(frozen=True, slots=True)
class StubHandle:
    """The handle of a stub, in the place of an actor's."""

    host: Any
    number: int
    takes_objects: bool

    def __getattr__(self, method: str) -> "StubMethod":
        return StubMethod(self, method)


@dataclass(frozen=True, slots=True)
class StubMethod:
    """A method of a stub."""

    stub: StubHandle
    method: str
    returns: int = 1

    def options(self, num_returns: int) -> "StubMethod":
        return replace(self, returns=num_returns)

    def remote(self, *arguments: Any) -> Any:
        """Call the stub; where it takes no objects, send references that Ray does not resolve."""
        if not self.stub.takes_objects:
            arguments = tuple([a] if isinstance(a, ray.ObjectRef) else a for a in arguments)
        call = self.stub.host.call.options(num_returns=self.returns)
        return call.remote(self.stub.number, self.method, *arguments)


class _Factory:
    """What `ray.remote` returns for a class of actors: makes stubs on hosts."""

    def __init__(self, kind: type, costs: ray.ObjectRef) -> None:
        stub, hosts = STUBS[kind]
        environment = {"env_vars": actor_environment(threads=1)}
        actor = _remote(Host).options(num_cpus=0, max_concurrency=CALLS, runtime_env=environment)
        self._hosts = [actor.remote(stub, costs) for _ in range(hosts)]
        self._kind, self._count = kind, 0

    def options(self, **options: Any) -> "_Factory":
        return self

    def remote(self, *arguments: Any) -> StubHandle:
        number, self._count = self._count, self._count + 1
        host = self._hosts[number % len(self._hosts)]
        host.start.remote(number, *arguments)
        return StubHandle(host, number, self._kind is not LearnerRank or number == 0)


_remote = ray.remote


@contextmanager
def hosted(costs: Costs) -> Iterator[None]:
    """Start stubs in the place of actors within the block."""
    reference = ray.put(costs)
    factories: dict[type, _Factory] = {}

    def remote(kind: type) -> Any:
        if kind not in STUBS:
            return _remote(kind)
        if kind not in factories:
            factories[kind] = _Factory(kind, reference)
        return factories[kind]

    with patch("ray.remote", remote):
        yield


class DriverBytes:
    """Counts the bytes that this process packs and unpacks for Ray."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count within the block."""
        from ray._private.serialization import SerializationContext

        serialize = SerializationContext.serialize
        deserialize = SerializationContext.deserialize_objects

        def packed(context: Any, value: Any) -> Any:
            result = serialize(context, value)
            self.counts["sent"] += result.total_bytes
            return result

        def unpacked(context: Any, objects: Any, *others: Any, **named: Any) -> Any:
            self.counts["received"] += sum(len(data) for data, *_ in objects if data is not None)
            return deserialize(context, objects, *others, **named)

        with (
            patch.object(SerializationContext, "serialize", packed),
            patch.object(SerializationContext, "deserialize_objects", unpacked),
        ):
            yield

    @property
    def total(self) -> int:
        return self.counts.total()


def inlined_bytes(recorded: Recorded) -> float:
    """Measure a group's completions: below a limit they go to a worker through the driver."""
    context = ray._private.worker.global_worker.get_serialization_context()
    sizes = [context.serialize(each).total_bytes for each in recorded.generations]
    return sum(2.0 * size for size in sizes if size <= LARGEST_ANSWER) / len(sizes)
