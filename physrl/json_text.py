"""Parsing of JSON objects from files that may be damaged."""

from pydantic_core import from_json

from physrl.types import JSON


def parse_object(data: bytes | str) -> JSON:
    """Parse the text of a JSON object.

    Raises:
        ValueError: it is none, or nested too deeply.
    """
    tree = from_json(data)
    if not isinstance(tree, dict):
        raise ValueError("it is not an object")
    return tree
