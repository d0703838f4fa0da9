"""Error types, one per boundary; a bad completion is data, not an error."""

from collections.abc import Iterator
from contextlib import contextmanager

LONGEST = 900
"""Characters of a message, which may repeat a damaged value."""
LONGEST_REASON = 200
"""Characters of a library's message that are repeated in ours."""


class PhysRLError(Exception):
    """Base class of the errors that this project raises on purpose; its text is one short line."""

    def __init__(self, message: str = "") -> None:
        super().__init__(_shortened(message))


class UserError(PhysRLError):
    """A mistake of the user with a one-line remedy: exit code 2, no traceback."""


class ConfigError(UserError):
    """An invalid configuration: unknown key, wrong type, impossible combination."""


class PluginError(UserError):
    """An installed distribution's entry point that clashes, fails to import or has a wrong form."""


class DataError(UserError):
    """A file or folder that the user named is missing or unreadable."""


class SceneError(UserError):
    """A scene that the settings do not admit or that cannot be rendered."""


class SimulationError(PhysRLError):
    """A failure of PyBullet, or values from it that are not finite."""


class GenerationError(PhysRLError):
    """A breach of a generator's contract: wrong ids, missing log-probabilities, stale weights."""


class AbortedError(GenerationError):
    """An abort of completions in favor of newer weights; they have to be requested again."""


class LostError(PhysRLError):
    """A loss of all actors of one kind, whose replacements do not start."""


class LearnerLostError(LostError):
    """A learner rank that died or hangs, so that the others wait for it."""


class LostCallError(PhysRLError):
    """A call on which every actor that ran it died or hung."""


class DivergedError(PhysRLError):
    """Losses or gradients that stay infinite or NaN; the last checkpoint is the last good state."""


class CheckpointError(UserError):
    """A checkpoint that is missing, incomplete, damaged or from another run."""


class StorageError(UserError):
    """A folder or bucket that cannot be reached, read or written."""


class MissingObjectError(StorageError):
    """A key without an object."""


class CollectionError(PhysRLError):
    """A shard of a dataset that could not be collected in any attempt."""


def reason_of(error: BaseException) -> str:
    """Return an error of the system or of a library in one line."""
    return one_line(getattr(error, "strerror", None) or str(error)) or type(error).__name__


def _shortened(text: str) -> str:
    """Return a text in one line, without the middle of a long one: its end says what to do."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} ... {line[-LONGEST // 3 :]}"


def one_line(text: str) -> str:
    """Return a library's or server's text in one line of limited length."""
    return " ".join(text.split())[:LONGEST_REASON]


@contextmanager
def boundary(kind: type[PhysRLError], subject: str, remedy: str) -> Iterator[None]:
    """Turn every error of the block that is not ours into one of `kind`, in one line.

    Libraries raise more types than they document, above all for damaged input.

    Args:
        subject: names the input and says what is wrong with it.
    """
    try:
        yield
    except PhysRLError:
        raise
    except Exception as error:
        raise kind(f"{subject} ({reason_of(error)}): {remedy}") from error
