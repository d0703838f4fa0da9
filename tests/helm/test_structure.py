"""Checks of the checks by other edits than misspellings, and hostile values."""

import random

import pytest
import yaml

from tests.helm.chart import NAMESPACE, documents, read_values, render, values_files
from tests.helm.check import object_violations
from tests.helm.crds import MISSING, find_crds
from tests.helm.generated import rendered
from tests.helm.hostile_values import fault, hostile_values
from tests.helm.schemas import schema_violations
from tests.helm.structure import STRANGERS, edits

needs_crds = pytest.mark.skipif(find_crds() is None, reason=MISSING)
DANGERS = {
    "nodeName": "node-1",
    "hostUsers": True,
    "schedulerName": "mine",
    "ephemeralContainers": [{"name": "shell"}],
    "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["storage"]}],
    "dnsPolicy": "Default",
    "serviceAccount": "admin",
    "activeDeadlineSeconds": 60,
    "resourceClaims": [{"name": "gpu"}],
}
"""Fields of pods that no rule is about: what the chart does not use is refused as a whole."""


@pytest.mark.parametrize("field", DANGERS)
def test_fields_that_the_chart_does_not_use_are_found(field: str) -> None:
    objects, values = rendered("values")
    cluster = next(one for one in objects if one["kind"] == "RayCluster")
    cluster["spec"]["headGroupSpec"]["template"]["spec"][field] = DANGERS[field]
    found = list(object_violations(objects, values, []))
    assert any(field in text for text in found)


def test_objects_of_new_templates_are_found() -> None:
    objects, values = rendered("everything")
    strangers = list(yaml.safe_load_all(STRANGERS.read_text(encoding="utf-8")))
    assert len(strangers) > 25
    for stranger in strangers:
        where = f"{stranger['kind']}/{stranger['metadata']['name']}"
        found = list(object_violations([*objects, stranger], values, []))
        assert any(text.startswith(where) for text in found), where


def test_edits_are_many_and_change_something() -> None:
    objects, _ = rendered("values-kind")
    every = list(edits(objects))
    assert len(every) > 1000
    for edited in random.Random(0).sample(every, 50):
        assert edited.objects != objects, edited.what


@needs_crds
@pytest.mark.parametrize("name", values_files())
def test_hostile_values_are_refused_or_remain_text(name: str) -> None:
    every = list(hostile_values(read_values(values_files()[name])))
    for case in random.Random(1).sample(every, 25):
        assert fault(case) is None, (case.path, case.new)


@needs_crds
@pytest.mark.parametrize("release", ["yes", "no", "null", "true", "y", "on", "x1e3"])
def test_names_that_yaml_takes_for_other_types_stay_text(release: str) -> None:
    values = read_values(values_files()["everything"])
    for one in documents(render(values, release=release)):
        assert not schema_violations(one)
        assert one["metadata"]["name"].startswith((release, values["storage"]["claim"]["name"]))
        assert one["metadata"]["namespace"] == NAMESPACE
