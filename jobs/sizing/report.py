"""The report of `physrl doctor` on a run: what its processes hold, and whether it fits."""

from rich.table import Table

from jobs.display.console import PlainConsole
from jobs.display.units import format_bytes, format_count
from jobs.sizing.capacity import capacity
from jobs.sizing.fit import check_fit
from physrl.config.run import RunConfig
from physrl.sizing.footprint import Footprint, rank_footprint, server_footprint
from physrl.sizing.model_size import ModelSize, model_size
from physrl.sizing.tensors import trained_bytes, zero_stage


def run(config: RunConfig) -> bool:
    """Print what the configuration needs and what is available; return whether it fits."""
    size, available = model_size(config.model), capacity(config)
    rank = rank_footprint(config, size)
    server = server_footprint(config.model, config.runtime, size)
    console = PlainConsole(soft_wrap=True)
    console.print(describe(config, size), markup=False)
    console.print(_parts_table(config, rank, server))
    checks = list(check_fit(config, size, available))
    table = Table("", "resource", "needed", available.name)
    for check in checks:
        table.add_row(check.verdict, check.resource, check.needed, check.available)
    console.print(table)
    for check in checks:
        if check.verdict != "ok":
            console.print(
                f"{check.verdict}: {check.resource}: needs {check.needed}, has {check.available}: "
                f"{check.remedy}",
                markup=False,
            )
    verdicts = {check.verdict for check in checks}
    fits = "TOO LITTLE" not in verdicts
    summary = "does not fit" if not fits else "may fit" if "?" in verdicts else "fits"
    console.print(f"{config.name} {summary} on {available.name}", markup=False)
    if not config.algorithm.uses_rollouts:
        console.print("sized for physrl train; physrl sft starts no servers and needs less")
    return fits


def describe(config: RunConfig, size: ModelSize) -> str:
    """Describe the model and its trained weights in one line."""
    lora = config.model.lora
    trained = "all weights" if lora is None else f"adapters of rank {lora.rank}"
    return (
        f"{config.model.path}: {format_count(size.parameters)} parameters; {trained}: "
        f"{format_count(size.trained)} trained, {format_bytes(trained_bytes(config, size))} to "
        f"sync and save; ZeRO stage {zero_stage(config)}, ranks: {config.runtime.learner_ranks}"
    )


def _parts_table(config: RunConfig, rank: Footprint, server: Footprint) -> Table:
    table = Table("process", "memory", "holds", "", title="≈ is an estimate (docs/monitoring.md)")
    for name, process, on_gpu in (
        ("learner rank", rank, config.runtime.gpus_per_rank),
        ("inference server", server, config.runtime.gpus_per_server),
    ):
        places = (("GPU", process.device), ("host", process.host))
        for place, parts in places if on_gpu else places[1:]:
            for part in parts:
                size = f"{'≈ ' * part.estimated}{format_bytes(part.bytes)}"
                table.add_row(name, place, part.name, size)
                name = ""
    return table
