"""The console that commands print to."""

from typing import Any

from rich.console import Console
from rich.text import Text

from jobs.display.printable import printable


class PlainConsole(Console):
    """A console on which strings cannot act: names from elsewhere may hold control characters."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text), **options)


console = PlainConsole()
"""Shared by all commands."""
