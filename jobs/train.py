"""Train a policy: a warm start if configured, then the run itself.

python -m jobs.train --config jobs/configs/demo.yaml name=mine
"""

import sys
from collections.abc import Sequence
from functools import partial

from cluster.evaluation.evaluate import evaluate_policy
from cluster.runtime.stopping import Stopped, StopRequest, stop_on_signals
from cluster.training.actors import RunActors, start_actors
from cluster.training.phases import train
from jobs.display.console import console
from jobs.display.progress import show_training
from physrl.config.run import RunConfig
from physrl.data.photos import Photo, load_configured_photos
from physrl.evaluation.result_files import SUFFIX, load_policy_result, save_policy_result
from physrl.evaluation.results import PolicyResult
from physrl.report.table import make_table
from physrl.storage.mirror import store_files
from physrl.storage.object_store import PARTIAL

RESUME = "continue with the same command and --resume"


def run(config: RunConfig) -> None:
    """Train in the run's opened folder, or resume; evaluate before and after, print the counts."""
    photos = load_configured_photos(config)
    console.print(f"run [bold]{config.folder}[/]: starting Ray, vLLM and DeepSpeed")
    with start_actors(config) as actors, stop_on_signals() as stop:
        actors.learner.start()  # in the background of the first evaluation
        try:
            results = [evaluate_once(actors, config, "base", photos, stop)]
            checkpoint, finished = train(config, actors, stop, show_training)
            if not finished:
                where = f"step {checkpoint.step} with {checkpoint.path}"
                console.print(f"stopped after {where}; {RESUME}")
                return
            results.append(evaluate_once(actors, config, config.algorithm.type, photos, stop))
        except Stopped:
            console.print(f"stopped during an evaluation; {RESUME}")
            return
    store_files(config)
    console.print(make_table(results, f"{config.name} on held-out scenes"))
    console.print(f"checkpoint {checkpoint.path}\nreport: physrl report {config.folder}")


def evaluate_once(
    actors: RunActors, config: RunConfig, policy: str, photos: Sequence[Photo], stop: StopRequest
) -> PolicyResult:
    """Evaluate the servers' policy, and write the answers into the run's folder.

    If the file exists, it is read instead. Until it is complete, its name begins with
    `.partial-`.

    Raises:
        Stopped: a stop was requested.
    """
    path = config.folder / "evaluation" / f"{policy}{SUFFIX}"
    if path.exists():
        return load_policy_result(path)
    with console.status("waiting for vLLM"):
        actors.servers.wait()
    with console.status(f"evaluating {policy}"):
        partial_path = path.with_name(f"{PARTIAL}{path.name}")
        result = evaluate_policy(
            actors.rollouts,
            actors.servers,
            config,
            policy,
            photos,
            stop,
            partial(save_policy_result, path=partial_path),
        )
    partial_path.replace(path)
    return result


if __name__ == "__main__":
    from jobs.cli import main

    main(["train", *sys.argv[1:]])
