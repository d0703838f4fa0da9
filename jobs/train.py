"""Train a policy: a warm start if configured, then the run itself.

python -m jobs.train --config jobs/configs/demo.yaml name=mine
"""

import sys
from collections.abc import Sequence

from cluster.evaluation.evaluate import evaluate_policy
from cluster.runtime.stopping import Stopped, StopRequest, stop_on_signals
from cluster.training.actors import RunActors, start_actors
from cluster.training.phases import train, trained_model
from jobs.display.console import console
from jobs.display.progress import show_training
from physrl.config.model import ModelConfig
from physrl.config.run import RunConfig
from physrl.data.photos import Photo, load_configured_photos
from physrl.evaluation.measurements import Measurement, Measurements
from physrl.evaluation.results import CellResult, PolicyResult
from physrl.evaluation.run_cells import policy_subject, run_cells
from physrl.report.table import make_tables
from physrl.storage.mirror import store_files
from physrl.storage.run_folder import has_trained

RESUME = "continue with the same command and --resume"


def run(config: RunConfig) -> None:
    """Train in the run's opened folder, or resume; evaluate before and after, print the counts."""
    photos = load_configured_photos(config)
    console.print(f"run [bold]{config.folder}[/]: starting Ray, vLLM and DeepSpeed", soft_wrap=True)
    with start_actors(config) as actors, stop_on_signals() as stop:
        actors.learner.start()  # in the background of the first evaluation
        try:
            results = [*evaluate_once(actors, config, "base", config.model, photos, stop)]
            checkpoint, finished = train(config, actors, stop, show_training)
            if not finished:
                where = f"step {checkpoint.step} with {checkpoint.path}"
                console.print(f"stopped after {where}; {RESUME}", soft_wrap=True)
                return
            trained = trained_model(config.model, checkpoint.path)
            name = config.algorithm.type
            results += evaluate_once(actors, config, name, trained, photos, stop)
        except Stopped:
            console.print(f"stopped; {RESUME}" if has_trained(config.folder) else "stopped")
            return
    store_files(config)
    show_results(results, config.name)
    lines = f"checkpoint {checkpoint.path}\nreport: physrl report {config.folder}"
    console.print(lines, soft_wrap=True)  # a broken path cannot be copied


def evaluate_once(
    actors: RunActors,
    config: RunConfig,
    policy: str,
    model: ModelConfig,
    photos: Sequence[Photo],
    stop: StopRequest,
) -> tuple[Measurement, ...]:
    """Evaluate the servers' policy, and write the answers into the run's folder.

    Measurements that are there already are read instead.

    Args:
        policy: name of the policy.
        model: what the servers serve, which identifies the policy.

    Raises:
        Stopped: a stop was requested.
    """
    subject, store = policy_subject(policy, model), Measurements(config.folder)
    if any(store.find(cell) is None for cell in run_cells(config, subject, photos)):
        with console.status("waiting for vLLM"):
            actors.servers.wait()
    with console.status(f"evaluating {policy}"):
        return evaluate_policy(
            actors.rollouts, actors.servers, config, subject, photos, stop, store
        )


def show_results(measured: Sequence[Measurement], title: str) -> None:
    """Print a table of success rates for each test set."""
    by_policy: dict[str, list[CellResult]] = {}
    for each in measured:
        by_policy.setdefault(each.policy, []).append(each.result)
    policies = [PolicyResult(name, tuple(results)) for name, results in by_policy.items()]
    for table in make_tables(policies, title):
        console.print(table)


if __name__ == "__main__":
    from jobs.cli import main

    main(["train", *sys.argv[1:]])
