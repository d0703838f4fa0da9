"""Removal of passwords from texts that are shown."""

import re

_PASSWORD = re.compile(r"(\w+://)?[^\s'\"]*@")
"""The scheme, user and password before the host of a URL."""


def without_password(text: str) -> str:
    """Remove user and password from the URLs in a text."""
    return _PASSWORD.sub(r"\1", text)
