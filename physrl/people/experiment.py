"""The folder of an experiment: static files that any web server shows."""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader

from physrl.config.people import ExperimentConfig
from physrl.errors import DataError
from physrl.people.parts import Part

FORMAT = "physrl-people-1"
"""Version of the data that an experiment records."""
BROWSER = Path(__file__).parent / "browser"
JSPSYCH = "jspsych-8.3.0"
LICENSE = "LICENSE.txt"
LIBRARY = ("jspsych.js", "plugin-html-button-response.js", "plugin-preload.js")
OURS = ("tower-trial.js", "experiment.js")
PAGE, STYLE, CONTENT, IMAGES = "index.html", "style.css", "content.js", "images"
SOURCE_MAP = b"//# sourceMappingURL="
"""Start of the line that names a file elsewhere, which browsers load for developers."""
UNSAFE = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}
"""Signs that could end a script, as JSON escapes them."""


def write_experiment(
    study: str, parts: Sequence[Part], config: ExperimentConfig, folder: Path
) -> int:
    """Write the pages into an empty or new folder; returns the number of images.

    Raises:
        DataError: the folder holds files already.
    """
    check_empty(folder)
    (folder / JSPSYCH).mkdir(parents=True)
    (folder / IMAGES).mkdir()
    for name in LIBRARY:
        lines = (BROWSER / JSPSYCH / name).read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if not line.startswith(SOURCE_MAP)]
        (folder / JSPSYCH / name).write_bytes(b"".join(kept))
    shutil.copyfile(BROWSER / JSPSYCH / LICENSE, folder / JSPSYCH / LICENSE)
    for name in (*OURS, STYLE):
        shutil.copyfile(BROWSER / name, folder / name)
    (folder / PAGE).write_text(_page(config.title), encoding="utf-8")
    (folder / CONTENT).write_text(_content(study, parts, config), encoding="utf-8")
    images = {item.file: item.png for part in parts for item in part.items}
    for name, data in images.items():
        (folder / IMAGES / name).write_bytes(data)
    return len(images)


def check_empty(folder: Path) -> None:
    """Check that nothing would be overwritten.

    Raises:
        DataError: the folder holds files.
    """
    if folder.exists() and any(folder.iterdir()):
        raise DataError(f"--out is {folder}, which is not empty: name another folder")


def _page(title: str) -> str:
    environment = Environment(
        loader=PackageLoader("physrl.people", "browser"), autoescape=True, trim_blocks=True
    )
    scripts = [*(f"{JSPSYCH}/{name}" for name in LIBRARY), CONTENT, *OURS]
    return environment.get_template("index.html.j2").render(title=title, scripts=scripts)


def _content(study: str, parts: Sequence[Part], config: ExperimentConfig) -> str:
    """Return the script with all texts and scenes; no text can end it."""
    tree = {
        "format": FORMAT,
        "study": study,
        "parts": list(_trees(parts)),
        **config.model_dump(
            include={"title", "consent", "contact", "code", "submit", "download"}, mode="json"
        ),
    }
    text = json.dumps(tree, ensure_ascii=False, allow_nan=False).translate(UNSAFE)
    return f"window.CONTENT = {text};\n"


def _trees(parts: Sequence[Part]) -> Iterator[dict[str, Any]]:
    for part in parts:
        yield {
            "task": part.condition.task,
            "test_set": part.condition.test_set,
            "key": part.key,
            "axes": part.axes,
            "practice": [item.shown for item in part.practice],
            "catches": [item.shown for item in part.catches],
            "lists": [[item.shown for item in items] for items in part.lists],
        }
