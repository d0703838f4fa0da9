"""Commands about this machine and about scenes."""

from pathlib import Path
from typing import Annotated

import typer

from jobs.arguments.device import Device
from jobs.arguments.options import ConfigFile, OptionalConfigFile, Overrides
from jobs.arguments.preview import preview
from jobs.checks import run as run_checks
from jobs.checks.checkpoint import check_model
from jobs.checks.ray_cluster import check_cluster
from jobs.last_resort import FAILURE
from physrl.config import load_config
from physrl.config.load import load_collect_config

GPU_CHECK = Path(__file__).parents[1] / "configs" / "gpu_check.yaml"

app = typer.Typer()


@app.command(
    epilog="Example: physrl doctor -- a run's needs, and whether they are met: physrl doctor "
    "--config jobs/configs/demo.yaml runtime.learner_ranks=2"
)
def doctor(overrides: Overrides = None, config: OptionalConfigFile = None) -> None:
    """List this machine's installed parts; with a configuration, check whether its run fits."""
    if config is None and not overrides:
        from jobs import doctor as job

        complete = job.run()
    else:
        checked = load_config(config, overrides or ())
        run_checks.check_sizing(checked)
        from jobs.sizing import report as sizing

        complete = sizing.run(checked)
    if not complete:
        raise typer.Exit(FAILURE)


@app.command(
    "gpu-check",
    epilog="Example: physrl gpu-check -- of a real model: physrl gpu-check "
    "model.path=Qwen/Qwen2.5-VL-3B-Instruct",
)
def gpu_check(
    overrides: Overrides = None,
    config: ConfigFile = GPU_CHECK,
    device: Annotated[
        Device, typer.Option(help="Check two GPUs, or the only one; or the same on the CPU.")
    ] = Device.GPU,
) -> None:
    """Check a new machine or cluster: vLLM and learner, syncs, memory, an update, speeds."""
    checked = load_config(config, overrides or ())
    from jobs.gpu_check import RANDOM
    from jobs.gpu_check import run as job

    if checked.model.path != RANDOM:
        check_model("model.path", checked.model.path, checked.model)
    check_cluster()
    if not job.run(checked, device):
        raise typer.Exit(FAILURE)


app.command(epilog="Example: physrl preview place --out sheet.png environment.num_blocks=[4,4]")(
    preview
)


@app.command(
    epilog="Example: physrl collect task=place split=train scenes=2000 out=runs/data/place"
    " -- to a bucket: physrl collect task=stability seed=1 out=s3://bucket/stability workers=8"
)
def collect(overrides: Overrides = None, config: OptionalConfigFile = None) -> None:
    """Write scenes, images, questions and answers as a dataset; repeat the command to resume."""
    checked = load_collect_config(config, overrides or ())
    run_checks.check_collection(checked)
    from jobs import collect as job

    job.run(checked)
