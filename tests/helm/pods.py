"""The pods that objects start, whatever kind starts them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.helm.chart import Document


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod's template."""

    owner: str
    labels: dict[str, str]
    spec: dict[str, Any]

    @property
    def containers(self) -> list[dict[str, Any]]:
        """All of them, those that run before the others too."""
        return [*self.spec.get("initContainers", ()), *self.spec.get("containers", ())]

    @property
    def is_ray_node(self) -> bool:
        """Whether it is a cluster's head or in one of its groups."""
        return " " in self.owner

    @property
    def document(self) -> Document:
        """The pod by itself, as the API server would see it."""
        metadata = {"name": self.component or "pod", "labels": self.labels}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": self.spec}

    @property
    def component(self) -> str:
        return self.labels.get("app.kubernetes.io/component", "")


def pods(objects: list[Document]) -> Iterator[Pod]:
    """Every pod template of some objects."""
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
    labels = template.get("metadata", {}).get("labels") or {}
    return Pod(owner, labels, template.get("spec") or {})


def cluster_specs(objects: list[Document]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The Ray clusters that objects are or bring, with their owners' names."""
    for one in objects:
        owner = f"{one['kind']}/{one['metadata']['name']}"
        if one["kind"] == "RayCluster":
            yield owner, one["spec"]
        elif one["kind"] == "RayJob" and "rayClusterSpec" in one["spec"]:
            yield owner, one["spec"]["rayClusterSpec"]


def selects(selector: dict[str, Any] | None, labels: dict[str, str]) -> bool:
    """Whether a label selector matches; an empty one matches all."""
    selector = selector or {}
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    return all(
        labels.get(one["key"]) in one["values"]
        for one in selector.get("matchExpressions", ())
        if one["operator"] == "In"
    )


MEBIBYTES = {"Mi": 1, "Gi": 1024, "Ti": 1024**2}


def mebibytes(quantity: str) -> int:
    """`2Gi` is 2048."""
    return int(quantity[:-2]) * MEBIBYTES[quantity[-2:]]
