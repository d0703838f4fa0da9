"""The rank actors of a learner, and the transfer of files between their machines."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, ObjectLostError, RayTaskError

from cluster.learner.rank import PIECE_BYTES, LearnerRank, file_sizes
from cluster.runtime.actor_pool import actor_loss
from cluster.runtime.faults import ACTOR_LOST, classify, user_error
from cluster.runtime.placement import RANK_CPUS, Placement
from cluster.runtime.session import actor_environment
from physrl.config.runtime import RuntimeConfig
from physrl.errors import LearnerLostError


class Ranks:
    """The actors of all ranks, which start in the background and are called together.

    Ranks read and write the folders of this process by their paths. `fetch` and `send` copy files
    through the object store from and to machines that do not share these folders.

    Args:
        rank: class of the actors; another one in tests.

    Raises (all methods):
        LearnerLostError: a rank died or hangs, so that all ranks must be restarted.
        ObjectLostError: an object that a rank needs was lost with a machine.
    """

    def __init__(
        self, runtime: RuntimeConfig, placement: Placement, rank: type[LearnerRank]
    ) -> None:
        self._timeout_s = runtime.update_timeout_s
        self._joined = False
        environment = {"env_vars": actor_environment(runtime.threads)}
        self.handles = [
            ray.remote(rank)
            .options(
                num_cpus=RANK_CPUS,
                num_gpus=placement.rank_gpus,
                runtime_env=environment,
                scheduling_strategy=placement.rank(number),
            )
            .remote(number, runtime.threads)
            for number in range(runtime.learner_ranks)
        ]

    def join(self) -> None:
        """Wait for the ranks to start and to form a process group, if they have not."""
        if not self._joined:
            address, port = self._get([self.handles[0].rendezvous.remote(len(self.handles))])[0]
            self.call("join", len(self.handles), address, port)
            self._joined = True

    def call(self, method: str, *arguments: object) -> list[Any]:
        """Call a method of every rank, and return the results in the order of the ranks."""
        return self._get([getattr(rank, method).remote(*arguments) for rank in self.handles])

    def gather(self, method: str) -> ray.ObjectRef:
        """Call a method of every rank; return a reference to the second result of the first."""
        calls = [getattr(rank, method).options(num_returns=2).remote() for rank in self.handles]
        self._get([count for count, _ in calls])
        return calls[0][1]

    def fetch(self, folder: Path) -> None:
        """Copy the files that ranks wrote on other machines to this one, and remove them there."""
        for rank, (_, sizes) in zip(self.handles, self.call("files", folder), strict=True):
            missing = sizes.items() - file_sizes(folder).items()
            for name, _ in sorted(missing):
                file, partial = folder / name, folder / f"{name}.part"
                file.parent.mkdir(parents=True, exist_ok=True)
                with partial.open("wb") as stream:
                    for piece in rank.read.options(num_returns="streaming").remote(file):
                        stream.write(self._get([piece])[0])
                partial.replace(file)
            if missing:
                self._get([rank.remove.remote(folder)])

    def send(self, folder: Path) -> None:
        """Copy the files of a folder to the ranks' machines that do not have them."""
        machines: set[str] = set()
        for rank, (machine, sizes) in zip(self.handles, self.call("files", folder), strict=True):
            if machine in machines:
                continue
            machines.add(machine)
            for name, _ in sorted(file_sizes(folder).items() - sizes.items()):
                with (folder / name).open("rb") as stream:
                    start = 0
                    while piece := stream.read(PIECE_BYTES):
                        self._get([rank.write.remote(folder / name, piece, start)])
                        start += len(piece)

    def stop(self) -> None:
        """Kill all ranks."""
        for rank in self.handles:
            ray.kill(rank)

    def _get(self, calls: Sequence[ray.ObjectRef]) -> list[Any]:
        try:
            return list(ray.get(list(calls), timeout=self._timeout_s))
        except GetTimeoutError:
            raise LearnerLostError(
                f"a learner rank gave no response within {self._timeout_s:g} s "
                "(runtime.update_timeout_s)"
            ) from None
        except ObjectLostError:  # the ranks are well
            raise
        except (*ACTOR_LOST, RayTaskError) as error:
            if (mistake := user_error(error)) is not None:
                raise mistake from error
            if classify(error) == "ours":
                raise
            reason = actor_loss(error, self._timeout_s)
            raise LearnerLostError(f"a learner rank is lost: {reason}") from error
