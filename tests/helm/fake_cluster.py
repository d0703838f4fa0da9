"""A fake Kubernetes cluster that knows names and rights, and refuses wrong commands."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from tests.helm.chart import (
    NAMESPACE,
    ROOT,
    Document,
    Values,
    documents,
    merged,
    of_kind,
    read_values,
    render,
)
from tests.helm.commands import Command
from tests.helm.references import outside

CLUSTER_WIDE = {"storageclass", "runtimeclass", "namespace", "priorityclass"}
KINDS = {
    "svc": "Service",
    "service": "Service",
    "rayjob": "RayJob",
    "rayjobs": "RayJob",
    "raycluster": "RayCluster",
    "job": "Job",
    "pod": "Pod",
    "pods": "Pod",
    "secret": "Secret",
    "configmap": "ConfigMap",
    "pvc": "PersistentVolumeClaim",
    "workloads": "Workload",
}
RESOURCES = {
    "Service": ("", "services"),
    "RayJob": ("ray.io", "rayjobs"),
    "RayCluster": ("ray.io", "rayclusters"),
    "Job": ("batch", "jobs"),
    "Pod": ("", "pods"),
    "Secret": ("", "secrets"),
    "Workload": ("kueue.x-k8s.io", "workloads"),
}
VALUED = {
    *(
        "-n",
        "--namespace",
        "-l",
        "--values",
        "--set",
        "--set-json",
        "--version",
        "--type",
        "--patch",
        "-o",
    ),
    *("--for", "--timeout", "-k"),
}
"""Options that take a value in the next word, where it is not joined by `=`."""
Right = tuple[str, str, str]


class Refused(Exception):
    """The refusal of a command by kubectl or helm."""


@dataclass
class FakeCluster:
    """Objects by kind and name in namespaces; releases; the rights of submitters."""

    namespaces: set[str] = field(default_factory=lambda: {"default", "kube-system"})
    objects: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    releases: dict[str, Values] = field(default_factory=dict)
    roles: list[Document] = field(default_factory=list)

    def run(self, command: Command) -> None:
        """Carry a command out.

        Raises:
            Refused: the command would fail.
        """
        program, *words = command.words
        plain, options = parse(words)
        if program == "helm":
            self._helm(plain, options)
        elif program == "kubectl":
            self._kubectl(command.person, plain, options)

    def _helm(self, plain: Sequence[str], options: Mapping[str, list[str]]) -> None:
        verb, *rest = plain
        namespace = options.get("-n", options.get("--namespace", [""]))[-1]
        if verb == "repo":
            return
        if not namespace:
            raise Refused("no namespace")
        name = rest[0]
        if verb == "test":
            if ("Pod", f"{name}-test") not in self.objects:
                raise Refused(f"{name} has no test")
            return
        if "--create-namespace" in options:
            self.namespaces.add(namespace)
        if namespace not in self.namespaces:
            raise Refused(f"no namespace {namespace}")
        if verb == "upgrade" and name not in self.releases:
            raise Refused(f"no release {name}")
        values: Values = {}
        if "--reuse-values" in options:
            values = self.releases[name]
        for file in options.get("--values", ()):
            values = merged(read_values(ROOT / file), values)
        for given in (*options.get("--set", ()), *options.get("--set-json", ())):
            values = merged(set_value(given), values)
        self.releases[name] = values
        if rest[1] == "helm/physrl":
            self._install(name, namespace, values)

    def _install(self, name: str, namespace: str, values: Values) -> None:
        if namespace != NAMESPACE:
            raise Refused(f"the namespace is {namespace}")
        for row in outside(merged(values)):
            keys = self.objects.get((row.kind, row.name), set())
            if row.kind == "Secret" and not {*row.keys} <= keys:
                raise Refused(f"no Secret {row.name} with {row.keys}")
        found = documents(render(values, release=name))
        for one in found:
            self.objects[one["kind"], one["metadata"]["name"]] = set()
        self.roles += of_kind(found, "Role")
        for one in of_kind(found, "RayJob"):  # KubeRay's, of the job's name
            self.objects["Job", one["metadata"]["name"]] = set()
        for one in of_kind(found, "RayCluster"):
            cluster = one["metadata"]["name"]
            self.objects["Service", f"{cluster}-head-svc"] = set()
            self.objects["Secret", cluster] = {"auth_token"}

    def _kubectl(self, person: str, plain: Sequence[str], options: Mapping[str, list[str]]) -> None:
        verb, *rest = plain
        if verb in ("replace", "apply"):
            return
        if verb == "create":
            self._create(rest, options)
            return
        verb_names = {"logs": "pods/log", "port-forward": "pods/portforward"}
        kind, name = target(rest[-2:] if verb == "port-forward" else rest)
        if kind in CLUSTER_WIDE:
            return
        if options.get("-n", [""])[-1] not in self.namespaces:
            raise Refused("no namespace, or one that is not there")
        if kind not in KINDS:
            raise Refused(f"no resource {kind}")
        kind = KINDS[kind]
        if name and (kind, name) not in self.objects:
            raise Refused(f"no {kind} {name}")
        if person == "submitter":
            for right in rights(verb, kind, name, verb_names.get(verb, "")):
                if not self._may(right, name):
                    raise Refused(f"a submitter may not {' '.join(right)}")

    def _create(self, rest: Sequence[str], options: Mapping[str, list[str]]) -> None:
        kind, *rest = rest
        if kind == "namespace":
            self.namespaces.add(rest[0])
            return
        if kind in CLUSTER_WIDE:
            return
        if options.get("-n", [""])[-1] not in self.namespaces:
            raise Refused("no namespace, or one that is not there")
        name = rest[-1]
        keys = {one.partition("=")[0] for one in options.get("--from-literal", ())}
        keys |= {".dockerconfigjson"} if rest[0] == "docker-registry" else set()
        self.objects[KINDS[kind], name] = keys

    def _may(self, right: Right, name: str) -> bool:
        return any(
            right[0] in rule["apiGroups"]
            and right[1] in rule["resources"]
            and right[2] in rule["verbs"]
            and (not rule.get("resourceNames") or name in rule["resourceNames"])
            for role in self.roles
            for rule in role["rules"]
        )


def rights(verb: str, kind: str, name: str, subresource: str) -> list[Right]:
    """Return the rights that a command of kubectl needs."""
    group, resource = RESOURCES[kind]
    if verb == "logs":
        return [(group, resource, "get"), ("", "pods", "list"), ("", subresource, "get")]
    if verb == "port-forward":
        return [(group, resource, "get"), ("", "pods", "list"), ("", subresource, "create")]
    if verb == "describe":
        return [(group, resource, "get"), (group, resource, "list"), ("", "events", "list")]
    if verb == "wait":
        return [(group, resource, one) for one in ("get", "list", "watch")]
    if verb == "patch":
        return [(group, resource, "get"), (group, resource, "patch")]
    return [(group, resource, verb if verb != "get" or name else "list")]


def target(rest: Sequence[str]) -> tuple[str, str]:
    """Parse resource and name of `TYPE/NAME`, `TYPE NAME` or `TYPE`."""
    if "/" in rest[0]:
        kind, _, name = rest[0].partition("/")
        return kind, name
    return rest[0], rest[1] if len(rest) > 1 else ""


def parse(words: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Parse plain words, and options with their values."""
    plain: list[str] = []
    options: dict[str, list[str]] = {}
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            plain.append(word)
            continue
        name, joined, value = word.partition("=")
        given = options.setdefault(name, [])
        if joined:
            given.append(value)
        elif name in VALUED:
            given.append(next(rest))
    return plain, options


def set_value(given: str) -> dict[str, Any]:
    """Parse Helm's `--set` and `--set-json`: `a.b=c`, with `\\.` for a dot in a key."""
    path, _, text = given.partition("=")
    keys = [one.replace("\\.", ".") for one in re.split(r"(?<!\\)\.", path)]
    tree: Any = yaml.safe_load(text)
    for key in reversed(keys):
        tree = {key: tree}
    return dict(tree)
