"""Pods that rendered objects start, of every kind that starts pods."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.helm.chart import Document


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod template; `owner` is the object that starts the pod, with the group of a Ray node."""

    owner: str
    labels: dict[str, str]
    spec: dict[str, Any]
    annotations: dict[str, str]

    @property
    def containers(self) -> list[dict[str, Any]]:
        """All containers, init containers first."""
        return [*self.spec.get("initContainers", ()), *self.spec.get("containers", ())]

    @property
    def is_ray_node(self) -> bool:
        """Whether the pod is a cluster's head or in one of its groups."""
        return " " in self.owner

    @property
    def document(self) -> Document:
        """The pod as an object of its own, as the API server would see it."""
        metadata = {"name": self.component or "pod", "labels": self.labels}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": self.spec}

    @property
    def component(self) -> str:
        return self.labels.get("app.kubernetes.io/component", "")


def pods(objects: list[Document]) -> Iterator[Pod]:
    """Yield every pod template."""
    for one in objects:
        owner = f"{one['kind']}/{one['metadata']['name']}"
        if one["kind"] == "Pod":
            yield _pod(owner, one)
        elif one["kind"] == "Deployment":
            yield _pod(owner, one["spec"]["template"])
        elif one["kind"] == "RayJob" and "submitterPodTemplate" in one["spec"]:
            yield _pod(owner, one["spec"]["submitterPodTemplate"])
    for owner, cluster in cluster_specs(objects):
        head = cluster.get("headGroupSpec", {})
        yield _pod(f"{owner} head", head.get("template", {}))
        for group in cluster.get("workerGroupSpecs", ()):
            yield _pod(f"{owner} {group.get('groupName')}", group.get("template", {}))


def _pod(owner: str, template: dict[str, Any]) -> Pod:
    metadata = template.get("metadata") or {}
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    return Pod(owner, labels, template.get("spec") or {}, annotations)


def cluster_specs(objects: list[Document]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the spec of each Ray cluster, with the object that is or brings it."""
    for one in objects:
        owner = f"{one['kind']}/{one['metadata']['name']}"
        if one["kind"] == "RayCluster":
            yield owner, one["spec"]
        elif one["kind"] == "RayJob" and "rayClusterSpec" in one["spec"]:
            yield owner, one["spec"]["rayClusterSpec"]


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a label selector matches labels; an empty one matches all."""
    selector = selector or {}
    exact = selector.get("matchLabels") or {}
    return exact.items() <= labels.items() and all(
        _matches(one, labels) for one in selector.get("matchExpressions") or ()
    )


def _matches(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, values = labels.get(expression["key"]), expression.get("values", ())
    return {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }[expression["operator"]]


MEBIBYTES = {"Mi": 1, "Gi": 1024, "Ti": 1024**2}


def mebibytes(quantity: str) -> int:
    """Convert a quantity such as 2Gi."""
    return int(quantity[:-2]) * MEBIBYTES[quantity[-2:]]
