"""Semantics of CRDs beyond JSON Schema."""

import jsonschema
import pytest

from tests.helm.schemas import cel_failures, strict, with_defaults

SCHEMA = {
    "type": "object",
    "required": ["count"],
    "properties": {
        "count": {"type": "integer", "default": 1},
        "when": {"type": "string", "nullable": True},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {}},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "rules": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
                "x-kubernetes-validations": [
                    {"rule": "has(self.a) || has(self.b)", "message": "a or b"},
                    {"rule": "self == oldSelf", "message": "never changes"},
                ],
            },
        },
    },
}


def test_defaults_stand_before_what_is_required() -> None:
    filled = with_defaults(SCHEMA, {"labels": {"x": "y"}})
    assert filled == {"labels": {"x": "y"}, "count": 1}
    jsonschema.validate(filled, strict(SCHEMA))


def test_unknown_fields_are_mistakes_but_where_they_are_kept() -> None:
    jsonschema.validate({"count": 1, "free": {"any": 1}, "when": None}, strict(SCHEMA))
    with pytest.raises(jsonschema.ValidationError, match="'cuont' was unexpected"):
        jsonschema.validate({"count": 1, "cuont": 2}, strict(SCHEMA))
    with pytest.raises(jsonschema.ValidationError, match="not of type 'string'"):
        jsonschema.validate({"count": 1, "labels": {"x": 1}}, strict(SCHEMA))


def test_cel_rules_of_a_new_object() -> None:
    value = {"rules": [{"a": 1}, {}, {"b": 2}]}
    assert list(cel_failures(SCHEMA, value, "")) == [".rules[1]: a or b"]
