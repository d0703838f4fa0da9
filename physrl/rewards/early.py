"""Reward part of early success."""


def early(success: bool, used: int, allowed: int) -> float:
    """Return 1 for success at the first of several attempts, falling linearly to 0 at the last.

    A task with a single attempt has no such bonus.
    """
    if not success or allowed == 1:
        return 0.0
    return (allowed - used) / (allowed - 1)
