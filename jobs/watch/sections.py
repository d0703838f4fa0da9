"""Parts of a page that are sent again only when they have changed."""

import hashlib
import json
from collections.abc import Callable

from markupsafe import Markup

HAVE = "x-have"
"""Header of a refresh: `name=version;...` of the parts that the browser has."""


class Sections:
    """The parts of one rendering of a page; called in its template."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def __call__(self, name: str, caller: Callable[[], str]) -> Markup:
        """Mark what the template's block renders as a part."""
        self._texts[name] = text = str(caller())
        return Markup('<div data-live="{}" data-version="{}">{}</div>').format(
            name, _version(text), Markup(text)
        )

    def changed(self, have: str) -> str:
        """Write the parts that the browser has not, as JSON."""
        known = dict(each.partition("=")[::2] for each in have.split(";"))
        return json.dumps(
            {
                name: {"version": _version(text), "html": text}
                for name, text in self._texts.items()
                if known.get(name) != _version(text)
            }
        )


def _version(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]
