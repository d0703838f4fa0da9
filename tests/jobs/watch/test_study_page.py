import csv
import io
import json
import time
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from jobs.watch.app import make_app
from physrl.evaluation.cells import find_cell_store
from physrl.evaluation.claims import judge_claims
from physrl.evaluation.specs import StudyPlan
from physrl.evaluation.study_results import read_study_results
from tests.support.watched_tree import TreeSize, write_tree


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StudyPlan]:
    """Twelve trials, of which one runs and one has failed."""
    folder = tmp_path_factory.mktemp("tree")
    return folder, write_tree(folder, TreeSize(), time.time())


@pytest.fixture
def shown(tree: tuple[Path, StudyPlan]) -> TestClient:
    return TestClient(make_app([str(tree[0])], patience_s=60), base_url="http://127.0.0.1")


def where(tree: tuple[Path, StudyPlan], **asked: object) -> dict[str, str]:
    named = {"store": str(tree[0] / "store"), "study": tree[1].name}
    return named | {name: str(value) for name, value in asked.items()}


def trials(shown: TestClient, params: dict[str, str]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(shown.get("/trials.csv", params=params).text)))


def test_trials_have_their_states_and_scores(
    tree: tuple[Path, StudyPlan], shown: TestClient
) -> None:
    rows = trials(shown, where(tree))
    plan = tree[1]
    assert [row["name"] for row in rows] == [trial.name for trial in plan.trials]
    states = [row["state"] for row in rows]
    assert (states[0], states[-1], set(states[1:-1])) == ("failed", "running", {"done"})
    assert "CUDA out of memory" in rows[0]["reason"]
    assert rows[0]["score"] == ""
    assert sum(row["held_out"] == "True" for row in rows) >= 8  # some own cells are not done
    assert all(0 <= float(row["score"]) <= 1 for row in rows[1:])
    assert rows[-1]["step"] == "3"


def test_trials_are_filtered_and_sorted_by_the_address(
    tree: tuple[Path, StudyPlan], shown: TestClient
) -> None:
    asked = where(tree, method="grpo", sort="score", falling=1)
    rows = trials(shown, asked)
    assert {row["method"] for row in rows} == {"grpo"}
    scores = [float(row["score"]) for row in rows if row["score"]]
    assert scores == sorted(scores, reverse=True)
    assert rows[-1]["score"] == ""  # what has no score comes last
    assert {row["task"] for row in trials(shown, where(tree, text="STABILITY"))} == {"stability"}
    page = shown.get("/study", params=asked).text
    assert 'aria-sort="descending"' in page
    table = page.partition('aria-label="Trials"')[2].partition("</table>")[0]
    assert "tiny-place-grpo" in table
    assert "tiny-place-gspo" not in table


def test_the_page_shows_every_part(tree: tuple[Path, StudyPlan], shown: TestClient) -> None:
    text = shown.get("/study", params=where(tree, metric="reward", smooth=3, x="seed")).text
    for part in ("Curves", "Scores and hyperparameters", "Generalization matrix", "Adaptation",
                 "Claims as they stand", "a stop now would lose"):  # fmt: skip
        assert f"{part}</h2>" in text
    assert 'aria-label="reward of 11 trials over steps, colored by method"' in text
    assert "score of 11 trials over seed" in text
    assert "success rate on place during adaptation" in text
    assert "fewer than 3 seeds" in text
    assert "training failed: CUDA out of memory" in text
    assert "a checkpoint of step 1 is kept" in text


def test_claims_are_those_of_the_report(tree: tuple[Path, StudyPlan], shown: TestClient) -> None:
    store = find_cell_store(str(tree[0] / "store"))
    assert store is not None
    claims = judge_claims(read_study_results(tree[1], store))
    text = shown.get("/study", params=where(tree)).text
    for claim in claims:
        row = text.partition(f'<th scope="row">{claim.statement}</th>')[2].partition("</tr>")[0]
        assert f">{claim.verdict}</td>" in row
        assert claim.remark in row


def test_the_matrix_is_that_of_its_protocol(
    tree: tuple[Path, StudyPlan], shown: TestClient
) -> None:
    answer = shown.get("/matrix.csv", params=where(tree, protocol="tall, greedy"))
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert {row["protocol"] for row in rows} == {"tall, greedy"}
    done = [row for row in rows if row["status"] == "2 done"]
    assert all(float(r["low"]) <= float(r["rate"]) <= float(r["high"]) for r in done)
    assert any("missing" in row["status"] for row in rows)
    unknown = shown.get("/matrix.csv", params=where(tree, protocol="x")).text
    assert "iid, greedy" in unknown


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"study": "other"}, 404),
        ({"sort": "key"}, 400),
        ({"smooth": "-1"}, 400),
        ({"page": "²"}, 400),
        ({"page": "99999"}, 200),
        ({"metric": "no such", "color": "no such", "x": "no such"}, 200),
    ],
)
def test_what_an_address_cannot_mean_is_said(
    tree: tuple[Path, StudyPlan], shown: TestClient, asked: dict[str, str], status: int
) -> None:
    for path in ("/study", "/trials.csv"):
        answer = shown.get(path, params=where(tree) | asked)
        assert answer.status_code == status
        assert "Traceback" not in answer.text


def test_a_refresh_sends_only_what_changed(tree: tuple[Path, StudyPlan], shown: TestClient) -> None:
    params = where(tree, sort="seed")
    everything = json.loads(shown.get("/study", params=params, headers={"X-Have": ""}).text)
    assert {"facts", "rows", "curves", "matrix", "claims", "problems"} <= set(everything)
    have = ";".join(f"{name}={part['version']}" for name, part in everything.items())
    news = json.loads(shown.get("/study", params=params, headers={"X-Have": have}).text)
    assert set(news) <= {"coming", "facts"}  # ages in seconds
    have = have.replace(everything["matrix"]["version"], "old")
    news = json.loads(shown.get("/study", params=params, headers={"X-Have": have}).text)
    assert news["matrix"] == everything["matrix"]


def test_two_policies_are_compared_where_both_answered(
    tree: tuple[Path, StudyPlan], shown: TestClient
) -> None:
    first, second = tree[1].trials[3], tree[1].trials[4]
    asked = where(tree, first=first.key, second=second.key, task="place")
    text = shown.get("/compare", params=asked).text
    for name in ("margin", "height", "blocks", "side", "set of scenes"):
        assert f"<h2>By {name}" in text
    flips = {
        outcome: shown.get("/compare", params=asked | {"outcome": outcome}).text.count("<article")
        for outcome in ("", "first", "second")
    }
    assert flips[""] == min(40, flips["first"] + flips["second"]) > 0
    assert shown.get("/compare", params=asked | {"outcome": "x"}).status_code == 400
    assert shown.get("/compare", params=where(tree, study="x")).status_code == 404
