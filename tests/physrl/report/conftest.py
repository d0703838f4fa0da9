"""Made-up results that several tests of the report share."""

import pytest

from physrl.evaluation.results import PolicyResult
from physrl.evaluation.study_results import StudyResults
from tests.support.answers import make_policy_result
from tests.support.made_up_study import make_study_results


@pytest.fixture(scope="session")
def policies() -> tuple[PolicyResult, ...]:
    return (
        make_policy_result("base", 1),
        make_policy_result("grpo", 8),
        make_policy_result("sft", 9),
    )


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    """The results of a made-up study."""
    return make_study_results(tmp_path_factory.mktemp("study"))
