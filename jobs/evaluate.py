"""Measure a policy, and the base beside it, on named sets of held-out scenes and photographs."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cluster.evaluation.evaluate import evaluate_policy
from cluster.runtime.stopping import StopRequest
from cluster.training.actors import start_actors
from jobs.checks.checkpoint import check_model
from jobs.display.console import console
from jobs.train import show_results
from physrl.config.model import ModelConfig
from physrl.config.run import RunConfig
from physrl.data.photos import Photo, load_configured_photos
from physrl.errors import UserError
from physrl.evaluation.measurements import Measurement, Measurements
from physrl.evaluation.run_cells import BASE, policy_subject, run_cells
from physrl.evaluation.specs import Subject


def run(config: RunConfig, base: ModelConfig, name: str) -> None:
    """Measure the configured model and its base; print a table for each test set.

    Measurements that are in the run's folder are read instead of made again.

    Args:
        base: the model before training.
        name: name of the policy.
    """
    photos = load_configured_photos(config)
    measured = list(_measure(config, _base_config(config, base), BASE, photos))
    own = policy_subject(name, config.model)
    if not any(each.cell.subject.key == own.key for each in measured):
        measured += _measure(config, config, name, photos)
    else:
        console.print(f"{name} is the base itself")
    show_results(measured, config.name)
    folder = Measurements(config.folder).folder
    console.print(f"answers (Parquet) and counts (JSON): {folder}", soft_wrap=True)


def _base_config(config: RunConfig, base: ModelConfig) -> RunConfig | None:
    """Return the configuration that serves the base; None if the base is not on this machine."""
    try:
        check_model("model.path", base.path, base)
    except UserError as error:
        console.print(f"without the base beside it: {error}", soft_wrap=True)
        return None
    return config.model_copy(update={"model": base})


def _measure(
    config: RunConfig, served: RunConfig | None, name: str, photos: Sequence[Photo]
) -> tuple[Measurement, ...]:
    """Measure a policy, with servers of its own where anything is missing.

    Args:
        served: the configuration of the servers; None measures nothing.
    """
    if served is None:
        return ()
    store, subject = Measurements(config.folder), policy_subject(name, served.model)
    found = _found(store, served, subject, photos)
    if found is not None:
        console.print(f"{name}: all of it was measured before")
        return found
    with start_actors(served) as actors:
        with console.status("waiting for vLLM"):
            actors.servers.wait()
        if served.model.adapter is not None:
            actors.weights.publish_adapter(Path(served.model.adapter))
        with console.status(f"evaluating {name}"):
            return evaluate_policy(
                actors.rollouts, actors.servers, served, subject, photos, StopRequest(), store
            )


def _found(
    store: Measurements, config: RunConfig, subject: Subject, photos: Sequence[Photo]
) -> tuple[Measurement, ...] | None:
    """Return the policy's measurements under its name; None if one is missing."""
    found = [(cell, store.find(cell)) for cell in run_cells(config, subject, photos)]
    known = tuple(replace(each, cell=cell) for cell, each in found if each is not None)
    return known if len(known) == len(found) else None


if __name__ == "__main__":
    from jobs.cli import main

    main(["evaluate", *sys.argv[1:]])
