"""Parser and writer of answers: strict in content, lenient in form.

Every notation that a person would call the same answer is parsed, and nothing else.
"""

import re
from collections.abc import Sequence
from typing import Literal

from physrl.types import Action, Offset, Unparseable, Verdict

LARGEST_OFFSET = 10.0
"""Largest offset in block widths; all larger ones lie outside every scene."""
UNITS = 100
"""Units of an answer in a block width: answers are integers in hundredths."""
CUT = "\0"
"""Character left where a thought or a prediction was cut out. No answer contains it, so that none
is joined from two halves."""

VERDICTS = ("Yes", "No")
"""Answers to a question about falling, as `format_action` writes them."""
PREDICTIONS = r"none|[1-9][0-9]? (?:left|right|towards|away)"
"""Predictions of a first motion, as a regular expression."""

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
    """Return the text between the only pair of answer tags outside thoughts.

    Tags may be in any case and contain spaces: `< Answer >` is `<answer>`.
    """
    text = without_thoughts(completion)
    if text is None:
        return Unparseable("the thought is not closed")
    answers = _ANSWER.findall(text)
    if len(answers) != 1 or text.count("<answer>") != 1 or text.count("</answer>") != 1:
        return Unparseable(f"{len(answers)} answers instead of one")
    return str(answers[0]).strip()


def parse_verdict(completion: str) -> Verdict | Unparseable:
    """Parse `Yes` (a block will fall) or `No`."""
    answer = extract_answer(completion)
    if isinstance(answer, Unparseable):
        return answer
    match = _VERDICT.fullmatch(answer)
    if match is None:
        return Unparseable("neither Yes nor No")
    return Verdict(falls=match[1].lower() == "yes")


def parse_offset(completion: str, axes: Sequence[Axis]) -> Offset | Unparseable:
    """Parse an integer in hundredths of a block width for each axis; other axes get 0."""
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
    lengths = [int(digits.replace("\u2212", "-")) / UNITS for digits in match.groups()]
    if max(map(abs, lengths)) > LARGEST_OFFSET:
        return Unparseable(f"further than {LARGEST_OFFSET:g} block widths")
    return Offset(**({"x": 0.0, "y": 0.0} | dict(zip(axes, lengths, strict=True))))


def format_action(action: Action, axes: Sequence[Axis]) -> str:
    """Format an action as an answer: `Yes`, `No`, `150`, `150 200`; empty if unparseable."""
    match action:
        case Verdict(falls):
            return "Yes" if falls else "No"
        case Offset():
            return " ".join(str(round(getattr(action, axis) * UNITS)) for axis in axes)
        case _:
            return ""


def answer_pattern(axes: Sequence[Axis], *, reasoning: bool = False, predicts: bool = False) -> str:
    """Write the grammar of a task's completions as a regular expression.

    All that match it are parsed: an answer in each notation that the parser knows, in ASCII and
    with single spaces, after a thought or a prediction if those were asked for.
    """
    number = r"[+\-]?(?:0{0,3}[0-9]{1,3}|0{0,2}1000)"
    numbers = r"(?:[,;] ?| )".join([number] * len(axes))
    answer = rf"{numbers}|\({numbers}\)|\[{numbers}\]" if axes else r"(?:[Yy]es|[Nn]o)[.!]?"
    thought = r"(?:<think>[^<]*</think>\n?)?" if reasoning else ""
    prediction = rf"(?:<outcome>(?:{PREDICTIONS})</outcome>)?" if predicts else ""
    return rf"{thought}{prediction}<answer> ?(?:{answer}) ?</answer>"


def text_before_answer(completion: str) -> str | None:
    """Return the text before the first answer that follows all thoughts; None without any."""
    tags = list(_TAG.finditer(completion))
    thought = max((tag.end() for tag in tags if tag[1] and tag[2].lower() == "think"), default=0)
    for tag in tags:
        if tag.start() >= thought and not tag[1] and tag[2].lower() == "answer":
            return completion[: tag.start()]
    return None


def answer_text(answer: str) -> str:
    """Return the completion that consists of this answer alone."""
    return f"<answer>{answer}</answer>"


def without_thoughts(completion: str) -> str | None:
    """Return a completion without its thoughts, with normalized tags; None if one is not closed."""
    return without_tagged("think", _TAG.sub(_normalized, completion))


def without_tagged(name: str, text: str) -> str | None:
    """Cut out all `<name>` ... `</name>`, also nested ones; None if one is not closed.

    A closing tag without an opening one closes a span that began in the prompt: all text before it
    is cut.
    """
    opening, closing = f"<{name}>", f"</{name}>"
    depth, kept = 0, ""
    for piece in re.split(f"({opening}|{closing})", text):
        if piece == opening:
            depth += 1
        elif piece == closing and depth == 0:
            kept = ""
        elif piece == closing:
            depth -= 1
        elif depth == 0:
            kept += CUT + piece if kept else piece
    return None if depth else kept


def _normalized(tag: re.Match[str]) -> str:
    return f"<{tag[1] or ''}{tag[2].lower()}>"
