"""Frozen records as Arrow values: structs of their fields, so that every field is a column."""

import dataclasses
from functools import lru_cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pyarrow as pa

SCALARS = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}


def arrow_type(annotation: Any) -> pa.DataType:
    """The Arrow type of a field: dataclasses and mixed tuples are structs, other tuples lists.

    Raises:
        TypeError: for an annotation that no record has.
    """
    if annotation in SCALARS:
        return SCALARS[annotation]
    parts = get_args(annotation)
    if get_origin(annotation) is Literal:
        return arrow_type(type(parts[0]))
    if _is_record(annotation):
        return pa.struct({name: arrow_type(kind) for name, kind in fields_of(annotation).items()})
    if get_origin(annotation) is tuple:
        if _is_list(parts):
            return pa.list_(arrow_type(parts[0]))
        return pa.struct({str(place): arrow_type(part) for place, part in enumerate(parts)})
    if type(None) in parts and len(parts) == 2:
        return arrow_type(next(part for part in parts if part is not type(None)))
    raise TypeError(f"{annotation} has no Arrow type")


def to_plain(annotation: Any, value: Any) -> Any:
    """A value as pyarrow takes it."""
    parts = get_args(annotation)
    if value is None:
        return None
    if _is_record(annotation):
        kinds = fields_of(annotation)
        return {name: to_plain(kind, getattr(value, name)) for name, kind in kinds.items()}
    if get_origin(annotation) is tuple:
        if _is_list(parts):
            return [to_plain(parts[0], one) for one in value]
        pairs = enumerate(zip(parts, value, strict=True))
        return {str(place): to_plain(part, one) for place, (part, one) in pairs}
    if type(None) in parts:
        return to_plain(next(part for part in parts if part is not type(None)), value)
    return value


def from_plain(annotation: Any, plain: Any) -> Any:
    """What `to_plain` was given, from what pyarrow returns."""
    parts = get_args(annotation)
    if plain is None:
        return None
    if _is_record(annotation):
        kinds = fields_of(annotation)
        return annotation(**{name: from_plain(kind, plain[name]) for name, kind in kinds.items()})
    if get_origin(annotation) is tuple:
        if _is_list(parts):
            return tuple(from_plain(parts[0], one) for one in plain)
        return tuple(from_plain(part, plain[str(place)]) for place, part in enumerate(parts))
    if type(None) in parts:
        return from_plain(next(part for part in parts if part is not type(None)), plain)
    return plain


@lru_cache
def fields_of(record: Any) -> dict[str, Any]:
    """The fields of a dataclass with their types."""
    hints = get_type_hints(record)
    return {field.name: hints[field.name] for field in dataclasses.fields(record)}


def _is_record(annotation: Any) -> bool:
    return dataclasses.is_dataclass(annotation)


def _is_list(parts: tuple[Any, ...]) -> bool:
    """Whether all of a tuple's items are of one type."""
    return parts[-1] is Ellipsis or all(part == parts[0] for part in parts)
