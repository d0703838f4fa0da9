"""Which rows of a batch each rank takes, and in which micro-batches."""

from collections import defaultdict
from collections.abc import Hashable, Sequence

MicroBatches = tuple[tuple[int, ...], ...]
"""Row numbers, micro-batch by micro-batch."""


def pack(
    lengths: Sequence[int], pictures: Sequence[Hashable], ranks: int, budget: int
) -> tuple[MicroBatches, ...]:
    """Deal rows to ranks and pack them so that no micro-batch holds more than `budget` tokens.

    Rows that show the same pictures stay together, because a micro-batch encodes each picture
    once. Such groups, none larger than a rank's share of the rows, are sorted by their longest row,
    so that little is padded, and each goes to the rank with the fewest tokens. A row that is longer
    than the budget is a micro-batch of its own.

    Args:
        lengths: tokens of each row, prompt and completion.
        pictures: equal where rows show the same pictures.

    Returns:
        For each rank its micro-batches; every row occurs once. Ranks may differ in their number.
    """
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for row, key in enumerate(pictures):
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
