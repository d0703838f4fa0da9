"""Damaged inputs, and the rule that readers are held to: read, or refuse in one line."""

import random
import re
from collections.abc import Callable
from typing import Any

from physrl.errors import PhysRLError

INTERESTING = (0, 1, 2, 10, 13, 32, 34, 44, 58, 91, 123, 127, 128, 255)


def damaged(data: bytes, draw: random.Random) -> bytes:
    """Change, remove, insert or cut bytes, mostly near the beginning, where headers are."""
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 4, 8))):
        limit = len(changed) if draw.random() < 0.4 else min(len(changed), 220)
        place = draw.randrange(max(limit, 1))
        kind = draw.random()
        if kind < 0.6 and changed:
            changed[min(place, len(changed) - 1)] = draw.choice((*INTERESTING, draw.randrange(256)))
        elif kind < 0.75:
            del changed[place : place + draw.randrange(1, 6)]
        elif kind < 0.9:
            changed[place:place] = draw.randbytes(draw.randrange(1, 5))
        else:
            del changed[place + 1 :]
    return bytes(changed)


def refusal(read: Callable[..., Any], *arguments: Any) -> str | None:
    """Return the one line with which a reader refuses its input; None if it reads it.

    Any other exception than ours escapes.
    """
    try:
        read(*arguments)
    except PhysRLError as error:
        if "\n" in str(error) or len(str(error)) > 1000:
            raise AssertionError(f"not one line: {error}") from error
        return str(error)
    return None


WORDS = (
    b"null", b"true", b"-1", b"0", b"1e999", b"NaN", b"Infinity", b"9" * 40, b"[]", b"{}", b'""',
    b"'", b"[" * 3000, b'{"a":' * 2000, b"..", b"/", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\n",
    b"\r", b",", b":", b"&a ", b"*a", b"<<: ", b"!!int ", b"- ", b"? ", b"|", b"\\u0000",
    b"\\ud800", b"2026-13-45",
)  # fmt: skip


def damaged_text(data: bytes, draw: random.Random) -> bytes:
    """Replace words of a text by others, or repeat, swap and remove lines."""
    changed = data
    for _ in range(draw.choice((1, 1, 2, 3))):
        tokens = re.split(rb"(\W)", changed)
        places = [place for place, token in enumerate(tokens) if token.strip()]
        if not places or draw.random() < 0.2:
            lines = changed.split(b"\n")
            lines.insert(draw.randrange(len(lines) + 1), draw.choice(lines))
            del lines[draw.randrange(len(lines))]
            changed = b"\n".join(lines)
            continue
        tokens[draw.choice(places)] = draw.choice(WORDS)
        changed = b"".join(tokens)
    return changed
