"""Validation of objects by the schemas of Kubernetes and KubeRay: unknown fields are mistakes."""

import json
from collections.abc import Iterator
from copy import deepcopy
from functools import cache, lru_cache
from typing import Any

import cel
import jsonschema
import kubernetes_validate

from tests.helm.chart import Document
from tests.helm.crds import find_crds, read_crd

KUBERNETES = "1.33"
GROUPS = {
    *("v1", "apps/v1", "networking.k8s.io/v1", "policy/v1", "rbac.authorization.k8s.io/v1"),
}
"""API versions of Kubernetes that the chart uses: the library drops the groups' domains."""
# The library reads all definitions anew for each object.
kubernetes_validate.utils.schema_contents = cache(kubernetes_validate.utils.schema_contents)
CRDS = {"RayCluster": "ray.io_rayclusters", "RayJob": "ray.io_rayjobs"}
POD_MONITOR = {
    "type": "object",
    "additionalProperties": False,
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "monitoring.coreos.com/v1"},
        "kind": {"const": "PodMonitor"},
        "metadata": {"type": "object", "required": ["name"]},
        "spec": {
            "type": "object",
            "additionalProperties": False,
            "required": ["selector", "podMetricsEndpoints"],
            "properties": {
                "selector": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "matchLabels": {"additionalProperties": {"type": "string"}},
                        "matchExpressions": {"type": "array"},
                    },
                },
                "podMetricsEndpoints": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["port"],
                        "properties": {
                            "port": {"type": "string"},
                            "interval": {"type": "string", "pattern": "^[0-9]+(s|m)$"},
                            "relabelings": {"type": "array", "items": {"type": "object"}},
                        },
                    },
                },
            },
        },
    },
}
"""The part of the Prometheus operator's CRD that the chart uses."""

CILIUM_POLICY = {
    "type": "object",
    "additionalProperties": False,
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "cilium.io/v2"},
        "kind": {"const": "CiliumNetworkPolicy"},
        "metadata": {"type": "object", "required": ["name"]},
        "spec": {
            "type": "object",
            "additionalProperties": False,
            "required": ["endpointSelector"],
            "properties": {
                "endpointSelector": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["matchLabels"],
                    "properties": {"matchLabels": {"additionalProperties": {"type": "string"}}},
                },
                "egress": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": {"toEntities": {"type": "array"}},
                    },
                },
            },
        },
    },
}
"""The part of Cilium's CRD that the chart uses."""
OTHERS = {"PodMonitor": POD_MONITOR, "CiliumNetworkPolicy": CILIUM_POLICY}


def schema_violations(document: Document) -> list[str]:
    """Validate an object by its schema; Ray objects pass where the CRDs are missing."""
    where = f"{document.get('kind')}/{document.get('metadata', {}).get('name')}"
    return [f"{where}: {text}" for text in _cached(json.dumps(document, sort_keys=True))]


@lru_cache(maxsize=2000)
def _cached(text: str) -> tuple[str, ...]:
    document = json.loads(text)
    kind, version = document.get("kind"), document.get("apiVersion")
    if not kind or not version or not (document.get("metadata") or {}).get("name"):
        return ("kind, apiVersion and metadata.name may not be missing",)
    if kind in CRDS:
        return tuple(_against_crd(document))
    if kind in OTHERS:
        return tuple(_failures(OTHERS[kind], document))
    if version not in GROUPS:
        return (f"Kubernetes {KUBERNETES} has no {version}",)
    try:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        return (f"{'.'.join(map(str, error.path))}: {error.message[:300]}",)
    except (
        kubernetes_validate.SchemaNotFoundError,
        kubernetes_validate.utils.VersionNotSupportedError,  # raised for an unknown API group
    ):
        return (f"Kubernetes {KUBERNETES} has no {kind} of {version}",)
    return ()


def _against_crd(document: Document) -> Iterator[str]:
    folder = find_crds()
    if folder is None:
        return
    versions = read_crd(folder, CRDS[document["kind"]])
    group, _, version = document.get("apiVersion", "").partition("/")
    if group != "ray.io" or version not in versions:
        yield f"no CRD of {document.get('apiVersion')}"
        return
    schema = versions[version]
    filled = with_defaults(schema, deepcopy(document))
    yield from _failures(strict(schema), filled)
    yield from cel_failures(schema, filled, "")


def _failures(schema: Any, document: Document) -> Iterator[str]:
    for error in jsonschema.Draft202012Validator(schema).iter_errors(document):
        yield f"{'.'.join(map(str, error.path))}: {error.message[:300]}"


def strict(schema: Any) -> Any:
    """Convert a CRD's schema to JSON Schema that forbids unknown fields."""
    key = id(schema)
    if key not in _STRICT:
        _STRICT[key] = _strict(schema)
    return _STRICT[key]


_STRICT: dict[int, Any] = {}


def _strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    out = {k: v for k, v in schema.items() if not k.startswith("x-") and k != "default"}
    for key in ("items", "additionalProperties", "anyOf", "oneOf", "allOf"):
        if key in out:
            out[key] = _strict(out[key])
    if "properties" in out:
        out["properties"] = {name: _strict(one) for name, one in out["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            out.setdefault("additionalProperties", False)
    if out.pop("nullable", False):
        return {"anyOf": [out, {"type": "null"}]}
    return out


def with_defaults(schema: Any, value: Any) -> Any:
    """Fill a CRD's defaults into a value, as the API server stores it."""
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        for name, one in properties.items():
            if "default" in one:
                value.setdefault(name, deepcopy(one["default"]))
        others = schema.get("additionalProperties")
        for name in value:
            value[name] = with_defaults(properties.get(name) or others or {}, value[name])
    elif isinstance(value, list):
        return [with_defaults(schema.get("items", {}), one) for one in value]
    return value


def cel_failures(schema: Any, value: Any, path: str) -> Iterator[str]:
    """Yield CEL rules that a new object breaks; rules about changes (oldSelf) are skipped."""
    if not isinstance(schema, dict):
        return
    for rule in schema.get("x-kubernetes-validations", ()):
        if "oldSelf" not in rule["rule"] and not cel.evaluate(rule["rule"], {"self": value}):
            yield f"{path}: {rule.get('message', rule['rule'])}"
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        others = schema.get("additionalProperties") or {}
        for name, one in value.items():
            yield from cel_failures(properties.get(name, others), one, f"{path}.{name}")
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from cel_failures(schema.get("items", {}), one, f"{path}[{index}]")
