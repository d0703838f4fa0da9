"""Evaluation of the servers' current policy on held-out scenes and on photographs."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

from cluster.inference.servers import InferenceServers
from cluster.rollout.workers import Rollouts
from cluster.runtime.stopping import StopRequest
from physrl.config.run import RunConfig
from physrl.config.study import Decoding
from physrl.data.photos import Photo
from physrl.environments.renderer import make_renderer
from physrl.evaluation.answers import photo_answer
from physrl.evaluation.measurements import Measurement, Measurements
from physrl.evaluation.requests import SAMPLED, cell_request, cell_sampling, photo_prompts
from physrl.evaluation.results import CellResult
from physrl.evaluation.run_cells import run_cells
from physrl.evaluation.specs import CellSpec, Condition, Subject
from physrl.protocols import RolloutRequest, Sampling
from physrl.question_source import run_source
from physrl.scene_source import SceneSource
from physrl.storage.provenance import versions
from physrl.types import QUESTIONS, Split


def evaluate_policy(
    rollouts: Rollouts,
    servers: InferenceServers,
    config: RunConfig,
    subject: Subject,
    photos: Sequence[Photo],
    stop: StopRequest,
    store: Measurements,
) -> tuple[Measurement, ...]:
    """Measure the servers' policy in every cell of its evaluation that the store does not have.

    Each is saved before the next begins, so that a failure loses none.

    Raises:
        Stopped: a stop was requested.
    """
    made = versions()
    measured = []
    for cell in run_cells(config, subject, photos):
        found = store.find(cell)
        if found is None:
            found = Measurement(cell, _compute(rollouts, servers, config, cell, photos, stop), made)
            store.save(found)
        measured.append(replace(found, cell=cell))  # under the name that is asked for
    return tuple(measured)


def evaluate_task(
    rollouts: Rollouts,
    config: RunConfig,
    task: str,
    split: Split,
    decoding: Decoding,
    stop: StopRequest,
) -> CellResult:
    """Evaluate one task on the configured number of held-out scenes.

    Raises:
        Stopped: a stop was requested.
    """
    request = RolloutRequest(
        run_source(config, task, split),
        range(config.evaluation.scenes),
        evaluation_sampling(config, decoding),
        config.reward,
    )
    groups = stop.wait_for(rollouts.submit(request))
    answers = stop.wait_for(rollouts.answers(groups))
    return CellResult(Condition(task, decoding=decoding), tuple(answers))


def evaluation_sampling(config: RunConfig, decoding: Decoding) -> Sampling:
    """Return the sampling parameters of a run's evaluation: one completion for each prompt."""
    longest = config.model.max_completion_tokens
    if decoding == "greedy":
        return Sampling(1, 0.0, longest, seed=config.seed)
    return Sampling(1, config.temperature, longest, seed=config.seed + SAMPLED)


def _compute(
    rollouts: Rollouts,
    servers: InferenceServers,
    config: RunConfig,
    cell: CellSpec,
    photos: Sequence[Photo],
    stop: StopRequest,
) -> CellResult:
    if cell.condition.test_set == "real":
        with closing(make_renderer(cell.settings.environment)) as renderer:
            prompts = photo_prompts(cell, photos, renderer)
        generations = stop.wait_for(servers.answer(prompts, cell_sampling(cell)))
        pairs = zip(photos, generations, strict=True)
        shown = (photo_answer(photo, generation.completions[0]) for photo, generation in pairs)
        return CellResult(cell.condition, tuple(shown))
    if cell.condition.task == QUESTIONS:
        source, asked = run_source(config, QUESTIONS, "test"), range(cell.settings.scenes)
        request = RolloutRequest(source, asked, cell_sampling(cell), cell.settings.reward)
    else:
        request = cell_request(cell)
    if isinstance(request.source, SceneSource) and cell.settings.data is not None:
        collected = config.evaluation.data[cell.condition.task]
        request = replace(request, source=replace(request.source, data=collected))
    groups = stop.wait_for(rollouts.submit(request))
    answers = stop.wait_for(rollouts.answers(groups))
    return CellResult(cell.condition, tuple(answers))
