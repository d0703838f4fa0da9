"""Where jobs speak to people."""

from rich.console import Console

console = Console()
