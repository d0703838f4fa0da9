"""Text from elsewhere, made safe to print."""


def printable(text: str) -> str:
    """Write characters that would act on a terminal, or that hide, as escapes."""
    return "".join(
        character if character.isprintable() or character in "\n\t" else ascii(character)[1:-1]
        for character in text
    )
