"""The overview in a terminal, kept up to date: `physrl status --watch`."""

import time
from collections import Counter
from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from jobs.display.console import console
from jobs.display.printable import printable
from jobs.watch import runs as run_files
from jobs.watch.overview_page import overview_facts
from jobs.watch.places import check_places
from jobs.watch.runs import RunView, duration
from jobs.watch.site import Site
from jobs.watch.study_facts import StudyFacts

EVERY_S = 5.0
BAD = ("stalled", "failed", "stopped")
"""States that are highlighted."""


def run(location: str) -> None:
    """Show the overview of a place until interrupted.

    Raises:
        DataError: it is no place, or a folder that does not exist.
    """
    check_places([location])
    site = Site([location])
    try:
        with Live(console=console, auto_refresh=False) as live:
            for shown in _frames(site):
                live.update(shown, refresh=True)
                time.sleep(EVERY_S)
    except KeyboardInterrupt:
        return


def _frames(site: Site) -> Iterator[RenderableType]:
    while True:
        with site.page_lock:
            site.refresh()
            shown = overview_tables(site)
        yield shown


def overview_tables(site: Site) -> RenderableType:
    """Make the tables of studies and runs, with what cannot be read in lines above."""
    facts, runs, hidden = overview_facts(site)
    parts: list[RenderableType] = [_text(problem) for problem in site.problems]
    if facts:
        parts.append(_studies(facts))
        parts += [f"[red]{_text(reason)}[/]" for each in facts for reason in each.reasons]
    if runs:
        parts.append(_runs(runs))
    if hidden:
        parts.append(f"{hidden} more runs, with older signs of life, are not shown")
    if not facts and not runs and not site.problems:
        parts.append(f"no study and no run in {_text(', '.join(site.places.names))}")
    return Group(*parts)


def _studies(facts: list[StudyFacts]) -> Table:
    table = Table("study", "state", "trials", "cells", "left", "GPU hours", "last sign")
    for each in facts:
        planned = f" of {each.planned_hours:.1f}" if each.planned_hours else ""
        table.add_row(
            _text(each.study.name),
            _state(each.state, each.state),
            _counts(each.trials, ("running", "stalled", "failed", "waiting")),
            _counts(each.cells, ("running", "failed", "missing")),
            "" if each.left_s is None else duration(each.left_s),
            f"{each.gpu_hours:.1f}{planned}",
            "" if each.sign_s is None else f"{duration(each.sign_s)} ago",
        )
    return table


def _runs(runs: list[RunView]) -> Table:
    table = Table("run", "state", "step", "left", "GPU hours", "last line")
    now = run_files.now()
    for each in runs:
        left, silence = each.left_s(now), each.silence_s(now)
        table.add_row(
            _text(each.name),
            _state(each.state(now), each.problem or each.state_words(now)),
            f"{each.step} of {'?' if each.steps is None else each.steps}",
            "" if left is None else duration(left),
            f"{each.gpu_hours:.1f}",
            "" if silence is None else f"{duration(silence)} ago",
        )
    return table


def _counts(counts: Counter[str], others: tuple[str, ...]) -> str:
    named = ", ".join(f"{counts[name]} {name}" for name in others if counts[name])
    return f"{counts['done']} of {counts.total()}" + (f" ({named})" if named else "")


def _state(state: str, words: str) -> str:
    return f"[red]{_text(words)}[/]" if state in BAD else _text(words)


def _text(text: str) -> str:
    """Make text from files safe to print."""
    return escape(printable(text))
