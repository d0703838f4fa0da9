import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from physrl.data.photos import load_photos
from physrl.evaluation.cells import CellStore
from physrl.evaluation.requests import cell_source
from physrl.evaluation.specs import Condition, StudyPlan
from physrl.evaluation.study_results import read_study_results
from physrl.evaluation.tidy import write_tidy
from physrl.people.experiment import write_experiment
from physrl.people.parts import Item, Part, people_cells
from physrl.people.recordings import read_sessions
from physrl.report.study import write_study_report
from physrl.scene_source import draw_scene
from physrl.tasks import TASKS
from physrl.tasks.answers import format_action
from tests.support.browser import browse, find_browser
from tests.support.command_line import call, call_refused
from tests.support.people import (
    EXPERIMENT,
    guesses,
    make_people_parts,
    make_session,
    write_people_study,
)
from tests.support.person import served, take_part

Study = tuple[Path, StudyPlan, CellStore, tuple[Part, ...]]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("people")
    plan, store = write_people_study(folder)
    return folder, plan, store, make_people_parts(plan, folder)


def ideal_answers(study: Study) -> dict[str, str]:
    """The ideal answer to each test scene and photograph, by id."""
    folder, plan, _, _ = study
    found = {photo.file: "Yes" if photo.falls else "No" for photo in load_photos(folder / "photos")}
    for condition, cell in people_cells(plan).items():
        if condition.test_set != "real":
            task, source = TASKS[condition.task], cell_source(cell)
            for index in range(cell.settings.scenes):
                scene = draw_scene(source, index)
                found[scene.scene_id] = format_action(task.ideal(scene), task.axes)
    return found


def save(folder: Path, *sessions: list[dict[str, Any]]) -> Path:
    folder.mkdir()
    for number, rows in enumerate(sessions):
        (folder / f"{number}.json").write_text(json.dumps(rows))
    return folder


def photographs(study: Study) -> str:
    return f"real_images={study[0] / 'photos'}"


def test_an_experiment_is_exported(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    code, printed, _ = call(
        capsys, "humans", "export", study[0] / "store", "--out", out,
        "scenes=2", "tasks=[place_x]", "practice=1", "catches=0", "title=Mine",
    )  # fmt: skip
    assert code == 0
    assert "place_x, iid: 3 trials a person, 1 list" in printed
    assert "<title>Mine</title>" in (out / "index.html").read_text()
    assert len(list((out / "images").iterdir())) == 3
    refused = call_refused(capsys, "humans", "export", study[0] / "store", "--out", out)
    assert "not empty" in refused


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("scenes=3", "scenes"),
        ("lists=9", "scenes x lists is 24 x 9"),
        ("sceens=2", "did you mean scenes"),
        ("submit=http://example.org", "https://"),
        ("tasks=[typo]", "typo"),
    ],
)
def test_wrong_keys_of_an_export_are_refused(
    override: str, named: str, study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ("--out", tmp_path / "out")
    assert named in call_refused(capsys, "humans", "export", study[0] / "store", *out, override)
    assert not (tmp_path / "out").exists()


def test_people_are_imported_into_tables_figures_and_the_tidy_table(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, plan, store, parts = study
    ideal = ideal_answers(study)

    def expert(part: Part, item: Item) -> str:
        return ideal.get(item.scene, "Yes" if not part.axes else " ".join("0" for _ in part.axes))

    sessions = [make_session(parts, f"e{n}", expert, chosen=n % 2) for n in range(4)]
    sessions += [
        make_session(parts, "e0", expert),
        make_session(parts, "hasty", guesses(1), rt=120.0),
        make_session(parts, "blind", guesses(2), catch=lambda item: "Yes"),
        make_session(parts, "gone", guesses(3))[:20],
    ]
    data = save(tmp_path / "data", *sessions)
    given = ("humans", "import", folder / "store", data, "--name", "experts")
    code, printed, _ = call(capsys, *given, photographs(study))
    assert code == 0
    flat = " ".join(printed.split())
    assert "8 sessions: 4 kept, 1 excluded (took part before), 1 excluded (too fast)" in flat
    assert "1 excluded (failed catch trials), 1 excluded (too few trials)" in flat
    assert "stability, real: 4 people, 16 answers, 100% right" in flat.replace("persons", "people")

    results = read_study_results(plan, store, load_photos(folder / "photos"))
    (group,) = results.people
    assert group.name == "experts"
    assert {len(answers) for answers in group.persons(Condition("place")).values()} == {4}
    assert all(each.answer.success for each in group.answers)  # the simulator agrees
    page = write_study_report(results, tmp_path / "report", {}, examples_per_cell=0, landscapes=())
    text = page.read_text()
    assert "<h2>People</h2>" in text
    assert "experts: 4 persons" in text
    assert '<td class="name">experts</td>' in text
    summary = json.loads((tmp_path / "report" / "summary.json").read_text())
    assert summary["people"][0]["excluded"]["too fast"] == 1
    assert write_tidy(plan, store, tmp_path / "tidy") == len(group.answers)
    rows = pq.read_table(tmp_path / "tidy" / "answers.parquet").to_pylist()
    assert {row["kind"] for row in rows} == {"people"}
    assert {row["subject"] for row in rows} == {f"experts {n}" for n in range(1, 5)}
    assert {row["seconds"] for row in rows} == {0.9}
    assert "e0" not in json.dumps(rows)


def test_data_that_do_not_fit_the_study_are_refused(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _, _, parts = study
    honest = make_session(parts[:1], "a", guesses(0))

    def refused(number: int, **changes: Any) -> str:
        rows = [row | changes if row["role"] == "test" else row for row in honest]
        data = save(tmp_path / str(number), rows)
        given = ("humans", "import", folder / "store", data, "trials_share=0")
        return call_refused(capsys, *given)

    assert "not of mine" in refused(0, study="another")
    assert "changed since" in refused(1, key="0" * 64)
    assert "does not measure" in refused(2, task="judge")
    assert "'stability/test/iid/0/99'" in refused(3, scene="stability/test/iid/0/99")
    assert "no answer is left" in refused(4, rt=1.0)
    real = make_session(parts[3:], "a", guesses(0))
    data = save(tmp_path / "real", real)
    line = call_refused(capsys, "humans", "import", folder / "store", data)
    assert "real_images is not set" in line
    line = call_refused(capsys, "humans", "import", folder / "store", data, "--name", "a/b")
    assert "--name" in line


@pytest.mark.parametrize("answer", ["", "</answer>", "1e9 1", "nan nan", "\x00", "Yes Yes"])
def test_odd_answers_are_failures_not_errors(
    answer: str, study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _, store, parts = study
    data = save(tmp_path / "data", make_session(parts[1:3], "a", lambda part, item: answer))
    code, _, _ = call(capsys, "humans", "import", folder / "store", data, "--name", "odd")
    assert code == 0
    group = next(each for each in store.read_people("mine") if each.name == "odd")
    assert {each.answer.status for each in group.answers} == {"unparseable"}


def test_judgements_of_photographs_are_imported(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, plan, store, _ = study
    table = tmp_path / "judges.csv"
    judges = [f"j{number}" for number in range(5)]
    draw = random.Random(0)
    lines = [",".join(["file", *judges])]
    lines += [",".join([f"p{n}.png", *(draw.choice("01") for _ in judges)]) for n in range(4)]
    table.write_text("\n".join(lines) + "\n")
    given = ("humans", "import", folder / "store", table, "--name", "judges")
    assert "real_images is not set" in call_refused(capsys, *given)
    code, printed, _ = call(capsys, *given, photographs(study))
    assert code == 0
    assert "5 persons, 20 answers" in printed
    assert any(each.name == "judges" for each in store.read_people(plan.name))


@pytest.mark.slow
@pytest.mark.parametrize("hands", ["mouse", "finger", "keys"])
def test_the_experiment_is_taken_in_a_browser_and_imported(
    hands: str, study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if find_browser() is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    folder, plan, store, parts = study
    shown = parts if hands == "mouse" else parts[:3]
    write_experiment(plan.name, shown, EXPERIMENT, tmp_path / "experiment")
    ideal, draw = ideal_answers(study), random.Random(hands)
    given: dict[str, str] = {}

    def reply(item: Item, role: str) -> str:
        if item.answer is not None:
            return item.answer
        right = ideal[item.scene]
        wrong = {"Yes": "No", "No": "Yes"}.get(right, " ".join("40" for _ in right.split()))
        given[item.scene] = right if draw.random() < 0.7 else wrong
        return given[item.scene]

    async def run() -> tuple[list[str], list[str], str, str]:
        with served(tmp_path / "experiment") as address:
            async with browse(tmp_path / "profile") as page:
                width = 400 if hands == "finger" else 1300
                query = "?person=me&list=1&order=2"
                await page.open(address + query, width, 800, touch=hands == "finger")
                said = await take_part(page, shown, reply, hands)
                await page.evaluate(
                    "fetch(document.querySelector('#download').href)"
                    ".then((reply) => reply.text()).then((text) => { window.SAVED = text; }), 1"
                )
                saved = await page.wait_for("window.SAVED")
                assert page.errors == []
                return said, page.requested, address, saved

    said, requested, address, saved = asyncio.run(run())
    assert len(said) == 1 + 2 * len(shown)
    assert all(each.startswith((address, "blob:" + address, "data:")) for each in requested)
    (tmp_path / "me.json").write_text(saved)
    code, printed, _ = call(
        capsys, "humans", "import", folder / "store", tmp_path / "me.json",
        photographs(study), "median_seconds=0", "--name", hands,
    )  # fmt: skip
    assert code == 0
    assert "1 sessions: 1 kept" in printed
    group = next(each for each in store.read_people("mine") if each.name == hands)
    answers = {each.answer.scene_id: each.answer.answer for each in group.answers}
    assert answers.keys() == given.keys()
    for scene, answer in answers.items():
        wanted = given[scene].split()
        for got, number in zip(answer.split(), wanted, strict=True):
            if number in ("Yes", "No"):
                assert got == number
            else:  # a pixel, or half a step of the arrow keys
                assert abs(int(got) - int(number)) <= 1


@pytest.mark.slow
def test_answers_are_posted_to_the_named_address_alone(study: Study, tmp_path: Path) -> None:
    if find_browser() is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    _, plan, _, parts = study
    folder = tmp_path / "experiment"

    async def run() -> list[str]:
        with served(folder) as address:
            changes = {"submit": f"{address}answers", "download": False, "code": "C0DE"}
            config = EXPERIMENT.model_copy(update=changes)
            write_experiment(plan.name, parts[:1], config, folder)
            async with browse(tmp_path / "profile") as page:
                await page.open(f"{address}?PROLIFIC_PID=p17", 1300, 800)
                await take_part(page, parts[:1], lambda item, role: item.answer or "No", "keys")
                await page.wait_for("document.body.innerText.includes('were sent')")
                text = await page.evaluate("document.querySelector('#end').innerText")
                offered = await page.evaluate("!!document.querySelector('#download')")
                return [text, str(offered)]

    text, offered = asyncio.run(run())
    assert "C0DE" in text
    assert offered == "False"
    (session,) = read_sessions(tmp_path / "posted.json")
    assert session.person == "p17"
    assert len(session.of("test")) == 4


@pytest.mark.slow
def test_who_does_not_agree_sees_nothing_and_leaves_no_data(study: Study, tmp_path: Path) -> None:
    if find_browser() is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    _, plan, _, parts = study
    write_experiment(plan.name, parts[:1], EXPERIMENT, tmp_path / "experiment")

    async def run() -> tuple[str, bool]:
        with served(tmp_path / "experiment") as address:
            async with browse(tmp_path / "profile") as page:
                await page.open(address, 1300, 800)
                await page.wait_for("document.querySelectorAll('.jspsych-btn').length === 2")
                await page.click(".jspsych-html-button-response-button:nth-child(2) .jspsych-btn, "
                                 ".jspsych-btn:nth-child(2)")  # fmt: skip
                await page.wait_for("!!document.querySelector('#end')")
                text = await page.evaluate("document.querySelector('#end').innerText")
                offered = await page.evaluate("!!document.querySelector('#download')")
                return text, offered

    text, offered = asyncio.run(run())
    assert "nothing was recorded" in text
    assert not offered
