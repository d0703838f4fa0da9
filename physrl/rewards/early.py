"""What an early success is worth beyond a late one."""


def early(success: bool, used: int, allowed: int) -> float:
    """1 for success at the first of several attempts, 0 at the last; 0 where there is only one."""
    if not success or allowed == 1:
        return 0.0
    return (allowed - used) / (allowed - 1)
