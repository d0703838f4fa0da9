"""The place that a policy is loaded from: a folder, the hub, or a run in a bucket."""

import re
from pathlib import Path

import typer

from physrl.errors import CheckpointError
from physrl.storage.checkpoints import FOLDER, Checkpoints
from physrl.storage.retention import score_of

SCHEME = "s3://"
STRUCTURE = {"checkpoints", "model", "adapter"}
"""Names of folders that do not identify the policy."""
STEP = re.compile(r"(?P<run>s3://.+?)(?:/checkpoints/step-0*(?P<step>\d+))?(?:/model|/adapter)?/*")


def of_run(policy: str) -> str:
    """Return the best checkpoint of a run's local folder, or else its last, and print which it is.

    Any other policy is returned unchanged.

    Raises:
        CheckpointError: the run has no complete checkpoint.
    """
    run = Path(policy).expanduser()
    if not (run / FOLDER).is_dir():
        return policy
    checkpoints = Checkpoints(run, keep_last=1)
    found = checkpoints.best() or checkpoints.latest()
    if found is None:
        raise CheckpointError(
            f"{run} is a run without a complete checkpoint: let it train to its first one"
        )
    score = score_of(found.state)
    which = "last" if score is None else f"best (score {score:.4g})"
    typer.echo(f"the {which} checkpoint of {run}: {found.path.name}")
    return str(found.path)


def short_name(policy: str) -> str:
    """Make a name from a policy: of the run and step of its folder, or of its hub name."""
    parts = [part for part in Path(policy).parts if part not in STRUCTURE]
    return re.sub(r"[^A-Za-z0-9.-]+", "_", "_".join(parts[-2:])).strip("_.")


def split_bucket(policy: str) -> tuple[str, str]:
    """Split a policy in a bucket into its run and the step's number, or `latest`.

    >>> split_bucket("s3://bucket/runs/demo/checkpoints/step-00000060")
    ('s3://bucket/runs/demo', '60')
    """
    found = STEP.fullmatch(policy)
    assert found is not None  # the caller saw the scheme
    return found["run"], found["step"] or "latest"
