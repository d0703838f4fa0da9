"""Reading a completion: what a person would call the same answer, and nothing else."""

import re
from collections.abc import Sequence
from typing import Literal

from physrl.types import Action, Offset, Unparseable, Verdict

LARGEST_OFFSET = 10.0
"""Offsets beyond this many block widths lie outside every scene."""
UNITS = 100
"""Answers are integers in hundredths of a block width."""
CUT = "\0"
"""Stands where a thought or a prediction was: no answer holds it, so that none is put together from
two halves."""

Axis = Literal["x", "y"]

# Without ASCII, the long s and the Kelvin sign would be letters of these words.
_TAG = re.compile(r"<\s*(?:(/)\s*)?(think|answer)\s*>", re.IGNORECASE | re.ASCII)
_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_VERDICT = re.compile(r"(yes|no)\s*[.!]?", re.IGNORECASE | re.ASCII)
_BRACKETS = (("(", ")"), ("[", "]"))
_INTEGER = r"([+\-\u2212]?[0-9]{1,6})"
_NUMBERS = {
    1: re.compile(_INTEGER),
    2: re.compile(rf"{_INTEGER}(?:\s*[,;]\s*|\s+){_INTEGER}"),
}


def extract_answer(completion: str) -> str | Unparseable:
    """What stands between the one pair of answer tags, outside any thought.

    Tags are tags in any case, and with spaces in them: `< Answer >` is `<answer>`.
    """
    said = spoken(completion)
    if said is None:
        return Unparseable("the thought is not closed")
    answers = _ANSWER.findall(said)
    if len(answers) != 1 or said.count("<answer>") != 1 or said.count("</answer>") != 1:
        return Unparseable(f"{len(answers)} answers instead of one")
    return str(answers[0]).strip()


def parse_verdict(completion: str) -> Verdict | Unparseable:
    """`Yes` (a block will fall) or `No`."""
    answer = extract_answer(completion)
    if isinstance(answer, Unparseable):
        return answer
    match = _VERDICT.fullmatch(answer)
    if match is None:
        return Unparseable("neither Yes nor No")
    return Verdict(falls=match[1].lower() == "yes")


def parse_offset(completion: str, axes: Sequence[Axis]) -> Offset | Unparseable:
    """An integer in hundredths of a block width for each axis; the offset along others is 0."""
    answer = extract_answer(completion)
    if isinstance(answer, Unparseable):
        return answer
    for opening, closing in _BRACKETS:
        if answer.startswith(opening) and answer.endswith(closing):
            answer = answer[1:-1].strip()
            break
    match = _NUMBERS[len(axes)].fullmatch(answer)
    if match is None:
        return Unparseable("not one integer" if len(axes) == 1 else "not two integers")
    lengths = [int(word.replace("\u2212", "-")) / UNITS for word in match.groups()]
    if max(map(abs, lengths)) > LARGEST_OFFSET:
        return Unparseable(f"further than {LARGEST_OFFSET:g} block widths")
    return Offset(**({"x": 0.0, "y": 0.0} | dict(zip(axes, lengths, strict=True))))


def words(action: Action, axes: Sequence[Axis]) -> str:
    """An action as it is answered: `Yes`, `No`, `150`, `150 200`; nothing if unparseable."""
    match action:
        case Verdict(falls):
            return "Yes" if falls else "No"
        case Offset():
            return " ".join(str(round(getattr(action, axis) * UNITS)) for axis in axes)
        case _:
            return ""


def answer_text(answer: str) -> str:
    """The completion that states this answer and nothing else."""
    return f"<answer>{answer}</answer>"


def spoken(completion: str) -> str | None:
    """What is said outside thoughts, with plain tags; None where a thought is left open."""
    return outside("think", _TAG.sub(_plain_tag, completion))


def outside(name: str, text: str) -> str | None:
    """What stands outside all `<name>` ... `</name>`, however nested; None if one is left open.

    One that closes without having been opened began in the prompt: all before it is inside.
    """
    opening, closing = f"<{name}>", f"</{name}>"
    depth, left = 0, ""
    for piece in re.split(f"({opening}|{closing})", text):
        if piece == opening:
            depth += 1
        elif piece == closing and depth == 0:
            left = ""
        elif piece == closing:
            depth -= 1
        elif depth == 0:
            left += CUT + piece if left else piece
    return None if depth else left


def _plain_tag(tag: re.Match[str]) -> str:
    return f"<{tag[1] or ''}{tag[2].lower()}>"
