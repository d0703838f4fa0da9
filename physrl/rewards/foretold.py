"""What a right prediction is worth."""

from physrl.types import Motion, Outcome, Unparseable


def foretold(said: Motion | Unparseable | None, outcome: Outcome) -> float:
    """1 where what was foretold is what happened; 0 where nothing was let go."""
    return float(outcome.motion is not None and said == outcome.motion)
