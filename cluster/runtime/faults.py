"""Classification of what actors raise: the user's mistake, transient, or ours.

A mistake of the user ends the run with its own line; what is transient is tried again on a fresh
actor; anything else ends the run, since it would happen again.
"""

import errno
import re
from typing import Literal

from ray.exceptions import (
    ActorUnschedulableError,
    OutOfMemoryError,
    RayActorError,
    RuntimeEnvSetupError,
)

from physrl import errors
from physrl.errors import UserError

Fault = Literal["user", "transient", "ours"]
ACTOR_LOST = (RayActorError, OutOfMemoryError, RuntimeEnvSetupError, ActorUnschedulableError)
"""Errors of Ray for an actor that died or could not be created."""
TRANSIENT = (TimeoutError, ConnectionError)
TRANSIENT_NUMBERS = (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EAGAIN, errno.EHOSTUNREACH)
_TRANSIENT_TEXT = re.compile(
    r"EADDRINUSE|address already in use|DistNetworkError|DistStoreError|connection re(set|fused)"
    r"|connection closed by peer|timed out waiting for clients|socket timeout"
    r"|TimeoutError|Connection\w*Error",
    re.IGNORECASE,
)
"""Text of errors that libraries raise without a type of their own: ports taken between their
choice and their use, and connections lost."""
_OURS = re.compile(r"physrl\.errors\.(\w+): (.*)")


def classify(error: BaseException) -> Fault:
    """Classify an error that a call of an actor, or its start, has raised."""
    if user_error(error) is not None:
        return "user"
    cause = getattr(error, "cause", None) or error
    if failed_in_constructor(error):
        return "transient" if _TRANSIENT_TEXT.search(last_line(error)) else "ours"
    if isinstance(error, ACTOR_LOST) or isinstance(cause, TRANSIENT):
        return "transient"
    numbered = isinstance(cause, OSError) and cause.errno in TRANSIENT_NUMBERS
    named = _TRANSIENT_TEXT.search(f"{type(cause).__name__}: {last_line(cause)}")
    return "transient" if numbered or named else "ours"


def user_error(error: BaseException) -> UserError | None:
    """Return the user's mistake that an actor reported; None if it is another error."""
    cause = getattr(error, "cause", None) or error
    if isinstance(cause, UserError):
        return cause
    if failed_in_constructor(error) and (named := _OURS.search(last_line(error))):
        kind = getattr(errors, named[1], None)  # of a constructor, Ray keeps the text alone
        if isinstance(kind, type) and issubclass(kind, UserError):
            return kind(named[2])
    return None


def failed_in_constructor(error: BaseException) -> bool:
    """Return whether an actor died of an error in its own constructor."""
    return isinstance(error, RayActorError) and error.actor_init_failed


def last_line(error: BaseException) -> str:
    """Return the last line of an error's text, which names the cause of a remote error."""
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__
