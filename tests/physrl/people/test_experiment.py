import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from physrl.config.people import ExperimentConfig
from physrl.errors import DataError
from physrl.evaluation.specs import Condition
from physrl.people.experiment import JSPSYCH, write_experiment
from physrl.people.parts import Item, Part

HOSTILE = "</script><img src=x onerror=alert(1)>\u2028\"'&"


def part(question: str = "Will it fall?") -> Part:
    def item(scene: str) -> Item:
        return Item(scene, b"png" + scene.encode(), question, None)

    items = tuple(item(f"stability/test/iid/0/{index}") for index in range(4))
    return Part(Condition("stability"), "key", (), items[:1], items[1:2], (items[2:], items[:2]))


def read_content(folder: Path) -> tuple[str, dict[str, Any]]:
    text = (folder / "content.js").read_text()
    return text, json.loads(text.removeprefix("window.CONTENT = ").removesuffix(";\n"))


def test_the_folder_is_complete_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    assert write_experiment("mine", [part()], ExperimentConfig(), tmp_path / "out") == 4
    page = (tmp_path / "out" / "index.html").read_text()
    loaded = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert loaded[0] == "data:,"
    for name in loaded[1:]:
        assert (tmp_path / "out" / name).is_file()
    _, content = read_content(tmp_path / "out")
    (shown,) = content["parts"]
    for each in [*shown["practice"], *shown["catches"], *shown["lists"][0], *shown["lists"][1]]:
        assert (tmp_path / "out" / each["image"]).is_file()
    assert "MIT License" in (tmp_path / "out" / JSPSYCH / "LICENSE.txt").read_text()
    for script in (tmp_path / "out").rglob("*.js"):
        assert "sourceMappingURL" not in script.read_text()
    assert "url(" not in (tmp_path / "out" / "style.css").read_text()


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    config = ExperimentConfig(title=HOSTILE, consent=(HOSTILE,), contact=HOSTILE, code=HOSTILE)
    write_experiment(HOSTILE, [part(HOSTILE)], config, tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text()
    assert "<img" not in page
    assert page.count("</script>") == page.count("<script")
    text, content = read_content(tmp_path / "out")
    assert not set("<>&\u2028\u2029") & set(text)
    assert content["title"] == content["study"] == HOSTILE
    assert content["parts"][0]["lists"][0][0]["question"] == HOSTILE


@given(text=st.text(max_size=40))
def test_any_text_comes_back_from_the_script(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    folder = tmp_path_factory.mktemp("any") / "out"
    name = text.encode("utf-8", "replace").decode()  # JSON files hold no lone surrogates
    write_experiment(name, [part(name)], ExperimentConfig(title=name or "x"), folder)
    script, content = read_content(folder)
    assert content["study"] == name
    assert len(script.splitlines()) == 1 or not set("<>&") & set(script)


def test_files_of_another_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(DataError, match="not empty"):
        write_experiment("mine", [part()], ExperimentConfig(), tmp_path)
