"""Packing of a batch's rows into the micro-batches of each rank."""

from collections import defaultdict
from collections.abc import Hashable, Sequence

MicroBatches = tuple[tuple[int, ...], ...]
"""Row numbers of each micro-batch."""


def pack(
    lengths: Sequence[int], images: Sequence[Hashable], ranks: int, budget: int
) -> tuple[MicroBatches, ...]:
    """Distribute rows over ranks and pack them into micro-batches of at most `budget` tokens.

    Rows with the same images stay together, because a micro-batch encodes each image once. Such
    groups, none larger than a rank's share of the rows, are sorted by their longest row to reduce
    padding, and each goes to the rank with the fewest tokens. A row longer than the budget is a
    micro-batch of its own.

    Args:
        lengths: tokens of each row, prompt and completions.
        images: a key of each row, equal for rows with the same images.

    Returns:
        The micro-batches of each rank, whose numbers may differ; every row occurs once.
    """
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for row, key in enumerate(images):
        groups[key].append(row)
    share = -(-len(lengths) // ranks)
    parts = [rows[at : at + share] for rows in groups.values() for at in range(0, len(rows), share)]
    longest_first = sorted(parts, key=lambda rows: -max(lengths[row] for row in rows))
    dealt: list[list[int]] = [[] for _ in range(ranks)]
    for part in longest_first:
        min(dealt, key=lambda rows: sum(lengths[row] for row in rows)).extend(part)
    return tuple(_fill(rows, lengths, budget) for rows in dealt)


def _fill(rows: Sequence[int], lengths: Sequence[int], budget: int) -> MicroBatches:
    filled: list[list[int]] = []
    longest = 0
    for row in rows:
        longest = max(longest, lengths[row])
        if not filled or (len(filled[-1]) + 1) * longest > budget:
            filled.append([])
            longest = lengths[row]
        filled[-1].append(row)
    return tuple(map(tuple, filled))
