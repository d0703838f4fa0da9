"""Measure a policy, and the base beside it, on named sets of held-out scenes and photographs."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cluster.evaluation.evaluate import evaluate_policy
from cluster.runtime.stopping import StopRequest
from cluster.training.actors import start_actors
from jobs.checks.checkpoint import check_model
from jobs.display.console import console
from jobs.train import show_results
from physrl.config.differences import show_value
from physrl.config.model import ModelConfig
from physrl.config.run import RunConfig
from physrl.data.photos import Photo, load_configured_photos
from physrl.errors import UserError
from physrl.evaluation.measurements import Measurement, Measurements
from physrl.evaluation.run_cells import BASE, policy_subject, run_cells
from physrl.evaluation.specs import Subject


def run(config: RunConfig, base: ModelConfig, name: str, changed: Mapping[str, Any]) -> None:
    """Measure the configured model and its base; print a table for each test set.

    Measurements that are in the run's folder are read instead of made again.

    Args:
        base: the model before training.
        name: name of the policy.
        changed: settings of the questions that are not those of the policy's run, by key.
    """
    photos = load_configured_photos(config)
    policies = {name: config}
    base_config = _base_config(config, base)
    if base_config is not None:
        keys = [policy_subject(BASE, each.model).key for each in (base_config, config)]
        policies = {BASE: base_config} if keys[0] == keys[1] else {BASE: base_config} | policies
    if name not in policies:
        console.print(f"{name} is the base itself")
    # An adapter and its base share servers; other weights need servers of their own.
    shared = config.model.adapter is not None
    turns = [policies] if shared else [{each: served} for each, served in policies.items()]
    measured = [each for turn in turns for each in _measure(turn, photos)]
    if changed:
        settings = " ".join(f"{key}={show_value(value)}" for key, value in changed.items())
        told = f"asked with other settings than the run's: {settings}"
        console.print(told, soft_wrap=True, markup=False)
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


def _measure(policies: Mapping[str, RunConfig], photos: Sequence[Photo]) -> list[Measurement]:
    """Measure policies with shared servers, or read what was measured if nothing is missing.

    Args:
        policies: configurations by name; of several the last has an adapter on the first.
    """
    *_, served = policies.values()
    store = Measurements(served.folder)
    subjects = {name: policy_subject(name, each.model) for name, each in policies.items()}
    found = [_found(store, each, subjects[name], photos) for name, each in policies.items()]
    if None not in found:
        console.print(f"measured before: {', '.join(policies)}")
        return [each for measured in found if measured is not None for each in measured]
    measurements: list[Measurement] = []
    with start_actors(served) as actors:
        with console.status("waiting for vLLM"):
            actors.servers.wait()
        for name, config in policies.items():
            if config.model.adapter is not None:
                actors.weights.publish_adapter(Path(config.model.adapter))
            with console.status(f"evaluating {name}"):
                measurements += evaluate_policy(
                    actors.rollouts,
                    actors.servers,
                    config,
                    subjects[name],
                    photos,
                    StopRequest(),
                    store,
                )
            console.print(f"measured: {name}")
    return measurements


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
