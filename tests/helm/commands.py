"""Commands of a page's fenced blocks, each with the person that its block names."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

SEPARATORS = {"|", "||", "&&", ";", "&"}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:kubectl|helm) [^`]+)`")
PERSON = re.compile(r"# as (?:the|a) (\w+)")


@dataclass(frozen=True)
class Command:
    """A program with its arguments; `person` runs it, and is empty where that may be anybody."""

    person: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return shlex.join(self.words)


def commands(page: str) -> list[Command]:
    """List all commands of a page's shell blocks in order, command substitutions first."""
    return [
        Command(person[1] if (person := PERSON.match(text)) else "", words)
        for language, text in FENCE.findall(page)
        if language in ("", "sh", "bash")
        for line in logical_lines(text)
        for words in split(line)
    ]


def inline_commands(page: str) -> list[Command]:
    """List commands of kubectl and helm in running text and tables."""
    text = FENCE.sub("", page)
    return [Command("", words) for line in INLINE.findall(text) for words in split(line)]


def logical_lines(text: str) -> Iterator[str]:
    """Yield lines with their continuations."""
    yield from (line for line in text.replace("\\\n", " ").splitlines() if line.strip())


def split(line: str) -> Iterator[tuple[str, ...]]:
    """Yield the commands of a line of shell."""
    while found := re.search(r"\$\(([^()]*)\)", line):
        yield from split(found[1])
        line = line.replace(found[0], "VALUE")
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;")
    lexer.whitespace_split, lexer.commenters = True, "#"
    words: list[str] = []
    for word in (*lexer, ";"):
        if word not in SEPARATORS:
            words.append(word)
        elif words:
            yield tuple(words)
            words = []
