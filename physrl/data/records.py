"""Conversion of frozen dataclasses to Arrow structs, with a column for each field."""

import dataclasses
from functools import lru_cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pyarrow as pa

SCALARS = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}


def arrow_type(annotation: Any) -> pa.DataType:
    """Derive the Arrow type of a field: dataclasses and mixed tuples become structs, tuples lists.

    Raises:
        TypeError: the annotation is not supported.
    """
    if annotation in SCALARS:
        return SCALARS[annotation]
    parts = get_args(annotation)
    if get_origin(annotation) is Literal:
        return arrow_type(type(parts[0]))
    if _is_record(annotation):
        return pa.struct({name: arrow_type(part) for name, part in fields_of(annotation).items()})
    if get_origin(annotation) is tuple:
        if _is_list(parts):
            return pa.list_(arrow_type(parts[0]))
        return pa.struct({str(index): arrow_type(part) for index, part in enumerate(parts)})
    if (inner := _optional(parts)) is not None:
        return arrow_type(inner)
    raise TypeError(f"{annotation} has no Arrow type")


def to_plain(annotation: Any, value: Any) -> Any:
    """Convert a value to the dicts, lists and scalars that pyarrow accepts."""
    parts = get_args(annotation)
    if value is None:
        return None
    if _is_record(annotation):
        fields = fields_of(annotation)
        return {name: to_plain(part, getattr(value, name)) for name, part in fields.items()}
    if get_origin(annotation) is tuple:
        if _is_list(parts):
            return [to_plain(parts[0], item) for item in value]
        pairs = enumerate(zip(parts, value, strict=True))
        return {str(index): to_plain(part, item) for index, (part, item) in pairs}
    inner = _optional(parts)
    return value if inner is None else to_plain(inner, value)


def from_plain(annotation: Any, plain: Any) -> Any:
    """Invert `to_plain`: rebuild a value from what pyarrow returns."""
    parts = get_args(annotation)
    if plain is None:
        return None
    if _is_record(annotation):
        fields = fields_of(annotation)
        return annotation(**{name: from_plain(part, plain[name]) for name, part in fields.items()})
    if get_origin(annotation) is tuple:
        if _is_list(parts):
            return tuple(from_plain(parts[0], item) for item in plain)
        return tuple(from_plain(part, plain[str(index)]) for index, part in enumerate(parts))
    inner = _optional(parts)
    return plain if inner is None else from_plain(inner, plain)


@lru_cache
def fields_of(record: Any) -> dict[str, Any]:
    """Return the fields of a dataclass with their types."""
    hints = get_type_hints(record)
    return {field.name: hints[field.name] for field in dataclasses.fields(record)}


def _is_record(annotation: Any) -> bool:
    return dataclasses.is_dataclass(annotation)


def _is_list(parts: tuple[Any, ...]) -> bool:
    """Return whether all items of a tuple have one type."""
    return parts[-1] is Ellipsis or all(part == parts[0] for part in parts)


def _optional(parts: tuple[Any, ...]) -> Any:
    """Return T for the arguments of `T | None`, otherwise None."""
    if len(parts) != 2 or type(None) not in parts:
        return None
    return next(part for part in parts if part is not type(None))
