"""All rules: each takes rendered objects and complete values, and yields what is wrong."""

from tests.helm.fields import FIELD_RULES
from tests.helm.job_rules import JOB_RULES
from tests.helm.object_rules import OBJECT_RULES
from tests.helm.pod_rules import POD_RULES, Rule
from tests.helm.reachability import apiserver_reached, reachable
from tests.helm.references import resolved

RULES: tuple[Rule, ...] = (
    *FIELD_RULES,
    *JOB_RULES,
    *POD_RULES,
    *OBJECT_RULES,
    reachable,
    apiserver_reached,
    resolved,
)
