"""Measure a policy on held-out scenes and photographs."""

import re
import sys
from functools import partial
from pathlib import Path

from cluster.evaluation.evaluate import evaluate_policy
from cluster.runtime.stopping import StopRequest
from cluster.training.actors import start_actors
from jobs.display.console import console
from physrl.config.run import RunConfig
from physrl.data.photos import load_configured_photos
from physrl.evaluation.result_files import SUFFIX, save_policy_result
from physrl.report.table import make_table

STRUCTURE = {"checkpoints", "model", "adapter"}
"""Names of folders that do not identify the policy."""


def run(config: RunConfig, policy: str) -> None:
    """Evaluate the configured model; print the counts, and write the answers under its name."""
    photos = load_configured_photos(config)
    name = short_name(policy)
    path = config.folder / "evaluation" / f"{name}{SUFFIX}"
    with start_actors(config) as actors:
        with console.status("waiting for vLLM"):
            actors.servers.wait()
        if config.model.adapter is not None:
            actors.weights.publish_adapter(Path(config.model.adapter))
        with console.status("evaluating"):
            result = evaluate_policy(
                actors.rollouts,
                actors.servers,
                config,
                name,
                photos,
                StopRequest(),
                partial(save_policy_result, path=path),
            )
    console.print(make_table([result], name))
    console.print(f"answers: {path}")


def short_name(policy: str) -> str:
    """Make a file name from a policy: of the run and step of its folder, or of its hub name."""
    parts = [part for part in Path(policy).parts if part not in STRUCTURE]
    return re.sub(r"[^A-Za-z0-9.-]+", "_", "_".join(parts[-2:])).strip("_.")


if __name__ == "__main__":
    from jobs.cli import main

    main(["evaluate", *sys.argv[1:]])
