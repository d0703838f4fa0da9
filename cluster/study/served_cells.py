"""Cells of language models: rollouts from policies of one base, several adapters at once."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

from cluster.rollout.stages import SharedScenes
from cluster.runtime.placement import Placement
from cluster.study.events import Finished, Started, error_summary
from cluster.study.policies import shared_model
from cluster.training.actors import RolloutActors
from cluster.weights.sync import Policy
from physrl.config.run import RunConfig
from physrl.config.runtime import RuntimeConfig
from physrl.data.photos import Photo
from physrl.errors import LostCallError
from physrl.evaluation.answers import photo_answer
from physrl.evaluation.cells import CellStore
from physrl.evaluation.requests import cell_request, cell_sampling, photo_prompts
from physrl.evaluation.results import CellResult
from physrl.evaluation.specs import CellSpec, Condition, Subject
from physrl.world import World

ADAPTERS = 8
"""Largest number of adapters in a batch of a server."""


def start_served(
    runs: Sequence[RunConfig], photos: Sequence[Photo], runtime: RuntimeConfig
) -> "ServedCells":
    """Start the actors that compute the cells of policies of one base."""
    actors = RolloutActors(
        shared_model(runs),
        # A cell is computed once, and each prompt has a seed of its own: no order to keep.
        runtime.model_copy(update={"batching": "continuous"}),
        Placement.unreserved(runtime),
        seed=runs[0].seed,
        adapters=min(ADAPTERS, len(runs)),
    )
    return ServedCells(actors, photos)


class ServedCells:
    """Computes the cells of policies of one base."""

    def __init__(self, actors: RolloutActors, photos: Sequence[Photo]) -> None:
        self._actors, self._photos = actors, photos
        self._scenes: dict[Condition, SharedScenes] = {}
        self._world, self._world_lock = World(), threading.Lock()

    def compute(self, cell: CellSpec, policy: Policy) -> CellResult:
        """Compute a policy's answers to a cell's scenes or photographs.

        Raises:
            LostCallError: a scene kills every worker or server.
            GenerationError: a server failed.
        """
        if cell.condition.test_set == "real":
            return self._compute_photos(cell, policy)
        scenes = self._scenes.setdefault(cell.condition, SharedScenes())
        rollouts = self._actors.rollouts
        groups = rollouts.submit(cell_request(cell), policy=policy, scenes=scenes).result()
        if len(groups) < cell.settings.scenes:
            raise LostCallError("; ".join(rollouts.quarantine.scenes.values()))
        return CellResult(cell.condition, tuple(rollouts.answers(groups).result()))

    def forget_scenes(self, conditions: Sequence[Condition]) -> None:
        """Free the scenes of all but these conditions."""
        self._scenes = {c: scenes for c, scenes in self._scenes.items() if c in conditions}

    def close(self) -> None:
        """Kill all actors."""
        self._actors.stop()
        self._world.close()

    def _compute_photos(self, cell: CellSpec, policy: Policy) -> CellResult:
        with self._world_lock:
            renderer = self._world.renderer(cell.settings.environment)
            prompts = photo_prompts(cell, self._photos, renderer)
        generations = self._actors.servers.answer(prompts, cell_sampling(cell), policy).result()
        answers = [
            photo_answer(photo, generation.completions[0])
            for photo, generation in zip(self._photos, generations, strict=True)
        ]
        return CellResult(cell.condition, tuple(answers))


def compute_served(
    served: ServedCells,
    cells: Sequence[CellSpec],
    policies: Mapping[Subject, Policy],
    store: CellStore,
    at_once: int,
) -> Iterator[Started | Finished]:
    """Compute and store cells, at most `at_once` at a time."""
    events: SimpleQueue[Started | Finished] = SimpleQueue()
    ordered = order_cells(cells, policies)
    waiting = [cell.condition for cell in ordered]

    def compute(cell: CellSpec) -> None:
        name = cell_name(cell)
        events.put(Started(cell.key, name))
        try:
            store.write_cell(cell.key, served.compute(cell, policies[cell.subject]))
        except Exception as error:  # any error at all: nothing may wait for this cell forever
            events.put(Finished(cell.key, name, error_summary(error)))
        else:
            events.put(Finished(cell.key, name))

    threads = ThreadPoolExecutor(at_once, "cells")
    try:
        for cell in ordered:
            threads.submit(compute, cell)
        while waiting:
            event = events.get()
            yield event
            if isinstance(event, Finished):
                waiting.remove(next(c.condition for c in ordered if c.key == event.key))
                served.forget_scenes(waiting)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)  # without waiting after an interrupt


def order_cells(cells: Sequence[CellSpec], policies: Mapping[Subject, Policy]) -> list[CellSpec]:
    """Order cells so that policies share batches and scenes.

    Bases and adapters come first, sorted by condition; then full weights, sorted by subject.
    """
    conditions = list(dict.fromkeys(cell.condition for cell in cells))
    subjects = list(dict.fromkeys(cell.subject for cell in cells))

    def place(cell: CellSpec) -> tuple[int, int]:
        condition, subject = conditions.index(cell.condition), subjects.index(cell.subject)
        full = policies[cell.subject].form == "weights"
        return (subject, condition) if full else (-1, condition)

    return sorted(cells, key=place)


def cell_name(cell: CellSpec) -> str:
    """Describe a cell for progress displays."""
    return f"{cell.subject.name} on {cell.condition.task} ({cell.condition.protocol})"
