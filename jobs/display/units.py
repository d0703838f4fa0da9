"""Numbers with units, for people."""


def format_bytes(size: float) -> str:
    """Write a size in GB of 10^9 bytes, or in MB or kB where it is smaller."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size / 1e3:.3g} kB"


def format_count(number: int) -> str:
    """Write a number in billions (B) or millions (M), or as it is where it is smaller."""
    for unit, factor in (("B", 1e9), ("M", 1e6)):
        if number >= factor:
            return f"{number / factor:.3g} {unit}"
    return f"{number}"
