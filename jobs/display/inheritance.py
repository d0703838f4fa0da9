"""A line about the keys of a study's base that methods do not inherit."""

from jobs.display.console import console
from physrl.config.study import StudyConfig
from physrl.evaluation.trials import untaken_keys


def show_untaken(config: StudyConfig) -> None:
    """Print the keys of `base.algorithm` that methods do not take, if there are any."""
    untaken = untaken_keys(config)
    if untaken:
        methods = "; ".join(f"{method}: {', '.join(keys)}" for method, keys in untaken.items())
        console.print(f"not inherited from base.algorithm: {methods}", soft_wrap=True)
