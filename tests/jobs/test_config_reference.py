import json
import re

from jobs.config_reference import PAGE, TASKS_PAGE, Reference, task_table, with_task_table
from physrl.config import RunConfig
from physrl.tasks import TASKS


def test_the_pages_are_up_to_date() -> None:
    assert Reference().page() == PAGE.read_text(), "run `make docs`"
    assert with_task_table(TASKS_PAGE.read_text()) == TASKS_PAGE.read_text(), "run `make docs`"


def test_every_key_of_a_run_is_listed_with_its_meaning() -> None:
    page = Reference().page()
    for name, field in RunConfig.model_fields.items():
        assert f"| `{name}` |" in page
        assert field.description


def test_each_section_stands_once_under_the_name_that_train_uses() -> None:
    headings = re.findall("^## (.*)$", Reference().page(), re.MULTILINE)
    assert len(set(headings)) == len(headings)
    tables = ("environment", "model", "algorithm", "warm_start", "reward", "auxiliary")
    tables += ("evaluation", "checkpoint", "tracking", "runtime")
    names = [heading.split(" (")[0] for heading in headings]
    assert set(tables) <= set(names)
    assert names.index("runtime") < names.index("collect")


def test_links_lead_to_headings() -> None:
    page = Reference().page()
    headings = re.findall("^## (.*)$", page, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}
    assert set(re.findall(r"\(#([^)]*)\)", page)) <= anchors


def test_the_table_of_tasks_states_their_answers() -> None:
    rows = task_table().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == list(TASKS.built_in)
    (closed_loop,) = (row for row in rows if "`place_closed_loop`" in row)
    assert "| `x` and `y` | 3 |" in closed_loop


def test_defaults_are_written_as_a_yaml_file_accepts_them() -> None:
    for code in re.findall(r"^\| `\w+` \|.*?\| `([^`]*)` \|", Reference().page(), re.MULTILINE):
        json.loads(code)
    grid = Reference().page().split("## study.grid\n")[1]
    variants = next(line for line in grid.splitlines() if line.startswith("| `variants`"))
    assert '`{"default": {}}`' in variants
