"""Commands about what was trained: measure it, report on it, fetch it, ask it, merge it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from jobs.arguments.options import Overrides, local_folder
from jobs.arguments.policy import DType, merged_model, policy_model
from jobs.arguments.policy_place import SCHEME, of_run, short_name, split_bucket
from jobs.arguments.run_config import config_file, find_config, load_beside
from jobs.checks import run as run_checks
from jobs.checks.checkpoint import check_model
from jobs.checks.storage import check_writable
from physrl.config import load_config
from physrl.config.differences import changed_questions
from physrl.errors import UserError

app = typer.Typer()


@app.command(
    epilog="Example: physrl evaluate --policy runs/demo/checkpoints/step-00000060 "
    "'evaluation.test_sets=[iid,camera,tall]' -- of another house: physrl evaluate --config FILE "
    "--policy Qwen/Qwen2.5-VL-3B-Instruct"
)
def evaluate(
    policy: Annotated[
        str,
        typer.Option(
            help="Run, step, model or adapter folder, a run or step in a bucket (s3://...), or a "
            "model name on the hub."
        ),
    ],
    overrides: Overrides = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="YAML file; by default config.yaml of the policy's run."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Name of the policy in tables and files."),
    ] = None,
) -> None:
    """Measure a policy, and the base beside it, on named sets of held-out scenes."""
    given, folder = overrides or [], policy
    if policy.startswith(SCHEME):
        from jobs.pull import fetch

        run, step = split_bucket(policy)
        folder = str(fetch(run, None, step, None).path)
    else:
        policy = folder = of_run(policy)
    beside = config_file(Path(folder)) if config is None else None
    changed: dict[str, Any] = {}
    if beside is not None:
        checked = load_beside(Path(folder), beside, given)
        changed = changed_questions(load_beside(Path(folder), beside, []), checked)
    elif config is None and not any(each.startswith("name=") for each in given):
        checked = load_config(None, [f"name={short_name(policy)}", *given])
    else:
        checked = load_config(config, given)
    served = policy_model(folder, checked.model)
    check_model("--policy", served.path, served)
    evaluated = checked.model_copy(update={"model": served})
    run_checks.check(evaluated)
    from jobs import evaluate as job

    job.run(evaluated, checked.model.base, name or short_name(policy), changed)


@app.command(epilog="Example: physrl report runs/demo")
def report(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", exists=True, file_okay=False)
    ],
) -> None:
    """Write the HTML report of one or more run folders."""
    from jobs import report as job

    job.run(folders)


@app.command(
    epilog="Example: physrl pull s3://bucket/runs/demo --step best --out models/demo"
    " -- of a study: physrl pull s3://bucket/study --trial NAME"
)
def pull(
    location: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="Run in storage, or store of a study: s3://bucket/prefix/run, or its folder.",
        ),
    ],
    trial: Annotated[
        str | None, typer.Option(help="Name, or start of the key, of a study's trial.")
    ] = None,
    step: Annotated[
        str, typer.Option(metavar="N|latest|best", help="Checkpoint to download.")
    ] = "latest",
    out: Annotated[
        Path | None,
        typer.Option(
            parser=local_folder,
            metavar="DIRECTORY",
            help="Folder to download into; by default the run's name.",
        ),
    ] = None,
    listing: Annotated[
        bool, typer.Option("--list", help="List the checkpoints, or a study's trials, instead.")
    ] = False,
) -> None:
    """Download a checkpoint from storage and verify it; repeat the command to resume."""
    from jobs import pull as job

    if listing:
        job.show(location)
    else:
        job.run(location, trial, step, out)


@app.command("try", epilog="Example: physrl try demo/step-00000060 --image tower.png task=place_x")
def ask(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="Run or checkpoint, also a downloaded one."),
    ],
    image: Annotated[Path, typer.Option(help="Image, such as of a tower, PNG or JPEG.")],
    overrides: Overrides = None,
    question: Annotated[
        str | None,
        typer.Option(help="Question, for a policy that was trained on your own images."),
    ] = None,
) -> None:
    """Ask a downloaded policy the task's question about one image."""
    folder = Path(of_run(str(folder)))
    checked = find_config(folder, overrides or [])
    from jobs import ask as job

    job.run(folder, image, checked, question)


@app.command(epilog="Example: physrl merge runs/demo/checkpoints/step-00000060 --out models/demo")
def merge(
    checkpoint: Annotated[
        str, typer.Argument(metavar="CHECKPOINT", help="Run, step, adapter or model folder.")
    ],
    out: Annotated[
        Path,
        typer.Option(parser=local_folder, metavar="DIRECTORY", help="Folder to write, empty yet."),
    ],
    base: Annotated[
        str | None,
        typer.Option(help="Model of the adapter, instead of the one that it names."),
    ] = None,
    dtype: Annotated[DType, typer.Option(help="Type of the weights.")] = "bfloat16",
) -> None:
    """Write a checkpoint as plain weights, which transformers and vLLM load."""
    if out.exists() and any(out.iterdir()):
        raise UserError(f"--out is {out}, which is not empty: name another folder")
    checkpoint = of_run(checkpoint)
    model = merged_model(checkpoint, base, dtype)
    check_writable(out)
    from jobs import merge as job

    job.run(model, checkpoint, out)
