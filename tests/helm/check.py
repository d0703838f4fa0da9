"""Everything that can be said against the chart with some values."""

from pathlib import Path

import yaml
from helm_python import HelmError

from tests.helm.chart import CHART, RELEASE, Values, documents, lint, merged, render
from tests.helm.pods import pods
from tests.helm.policies import POLICIES
from tests.helm.rules import RULES
from tests.helm.schemas import schema_complaints


def complaints(values: Values, chart: Path = CHART, release: str = RELEASE) -> list[str]:
    """Strict lint, rendering, schemas, rules and policies; empty where all is well."""
    try:
        found = lint(values, chart)
        objects = documents(render(values, chart, release))
    except (HelmError, yaml.YAMLError) as error:
        return [str(error)]
    for one in objects:
        found += schema_complaints(one)
    for pod in pods(objects):
        found += schema_complaints(pod.document)
    if found:
        return found  # the rest reads what the schemas promise
    filled = merged(values)
    found += [text for rule in RULES for text in rule(objects, filled)]
    found += [text for policy in POLICIES for text in policy(objects)]
    return found
