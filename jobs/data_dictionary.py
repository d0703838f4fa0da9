"""Write docs/data.md: every file that is written, its columns or keys, and recipes to read it.

python -m jobs.data_dictionary
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from physrl.data import rollouts, shards
from physrl.evaluation import people, tidy
from physrl.evaluation.result_files import SCHEMA as ANSWERS

PAGE = Path(__file__).parents[1] / "docs" / "data.md"
HEAD = """# Data dictionary

Written by `python -m jobs.data_dictionary` (`make docs`) from the writers' own schemas: edit there.

Every file that a command writes. Tables are Parquet with Zstandard; lengths are in block widths,
angles in radians, times in seconds, log-probabilities in nats.

| file | written by | content |
| --- | --- | --- |
"""
FILES = (
    (
        "`config.yaml`",
        "`train`, `sft`, `baseline`",
        "every setting, resolved ([config.md](config.md)); versions and digests of inputs as "
        "comments",
    ),
    (
        "`metrics.jsonl`, `events.out.tfevents.*`",
        "`train`, `sft`, `baseline`",
        "metrics by step ([monitoring.md](monitoring.md)); a study's trials have an event file of "
        "hyperparameters more",
    ),
    ("`warnings.log`", "`train`, `sft`, `demo`", "warnings of libraries, if there were any"),
    ("`tracking.json`", "`train`, `sft`", "id of the run at experiment trackers"),
    (
        "`profile/*.json`, `*.json.gz`",
        "`train` with `runtime.profile_step`",
        "traces ([monitoring.md](monitoring.md#profiling-one-step))",
    ),
    ("`rollouts/step-*.parquet`", "`train`", "[rollouts](#rollouts)"),
    ("`evaluation/*.parquet`", "`train`, `evaluate`, `baseline`", "[answers](#answers)"),
    ("`evaluation/*.json`", "the same", "[what was asked](#what-was-asked), and counts"),
    (
        "`checkpoints/step-*/`",
        "`train`, `sft`, `baseline`",
        "weights, state, manifest ([storage.md](storage.md#layout))",
    ),
    ("`report/*.html`", "`report`, `demo`", "one page, self-contained"),
    (
        "`data/*.parquet`, `manifest.json`",
        "`collect`",
        "[datasets](#datasets) ([layout](datasets.md#layout))",
    ),
    ("`cells/*.parquet` of a study", "`sweep`", "[answers](#answers)"),
    (
        "`plans/*.json`, `trained/*.json`, `adaptation/*.json`, `probes/*.json` of a study",
        "`sweep`",
        "what it needs; checkpoint and metrics of a trial; successes by steps; decodability by "
        "layer ([study.md](study.md#results-on-storage))",
    ),
    (
        "`running/*.json`, `failed/*.json` of a study",
        "`sweep`",
        "what is being computed, and reasons of failures (`physrl status`)",
    ),
    (
        "`people/*/*.parquet` of a study",
        "`humans import`",
        "[answers](#answers) of people, with [who gave them](#answers-of-people)",
    ),
    (
        "`answers.parquet`, `answers.csv`, `codebook.csv`",
        "`tidy`",
        "[answers of a study](#answers-of-a-study)",
    ),
)
"""Files, the commands that write them, and their content."""
ABOUT_ANSWERS = """A row for each answer; of several attempts the last. The metadata of the schema
say what was asked (`cell`) and with which code (`versions`); in a study the plan says so."""
ABOUT_PEOPLE = "Columns before those of [answers](#answers); a file for each group."
ASKED = {
    "policy": "Name of the policy",
    "policy_key": "Digest of the policy's weights and of what decides how it is served",
    "key": "Digest of all that the answers depend on; the file's name ends with its start",
    "task": "Task of the question",
    "test_set": "Set of scenes, or `real`",
    "shots": "Number of examples before the question",
    "decoding": "greedy or sampled",
    "images": "shown, or blank",
    "examples": "Examples before the question: solved, or form",
    "successes": "Number of successes",
    "total": "Number of answers",
    "rate": "Success rate",
    "interval": "Wilson's 95 % interval of the success rate",
    "unparseable": "Number of completions without a valid answer",
    "answers": "Name of the file of the answers",
    "settings": "Number of scenes, seed, environment, reward, temperature, ...: all that was asked",
    "versions": "Commit, hash of the scene generator's sources, and packages",
}
"""Keys of the JSON file of a measurement."""
OFFSETS = {
    "offset": "Answered offset: right, up; null without one",
    "ideal_offset": "Ideal offset: right, up; null in `stability`",
}
RECIPES = """## Recipes

Wrong answers of a step, with pandas:

```python
import pandas as pd

rollouts = pd.read_parquet("runs/first/rollouts/step-00000003.parquet")
wrong = rollouts[~rollouts["success"]]
print(wrong[["scene_id", "completion", "status", "reward"]].head())
```

Mean of each part of the reward, by step:

```python
from pathlib import Path

import pandas as pd

files = sorted(Path("runs/first/rollouts").glob("step-*.parquet"))
rollouts = pd.concat(pd.read_parquet(file) for file in files)
parts = pd.DataFrame([dict(each) for each in rollouts["reward_parts"]])
print(parts.groupby(rollouts["step"].to_numpy()).mean())
```

Which scenes flip between two policies. A policy may have been measured under several settings, with
the same scene ids: only files of equal `settings` may be joined.

```python
import json
from pathlib import Path

import pandas as pd

folder = Path("runs/first/evaluation")
files = sorted(folder.glob("*_place_iid_greedy_*.json"), key=lambda file: file.stat().st_mtime)
asked = [json.loads(file.read_text()) for file in files]  # the run's own evaluation first
base = next(each for each in asked if each["policy"] == "base")
same = [each for each in asked if each["settings"] == base["settings"]]
grpo = next(each for each in same if each["policy"] == "grpo")
first, second = (pd.read_parquet(folder / each["answers"]) for each in (base, grpo))
both = first.merge(second, on="scene_id", suffixes=("_base", "_grpo"))
flipped = both[both["success_base"] != both["success_grpo"]]
print(flipped[["scene_id", "answer_base", "answer_grpo", "ideal_base", "success_grpo"]])
```

The same three with DuckDB (`pip install duckdb`):

```python
import json
from pathlib import Path

import duckdb

duckdb.sql(
    "SELECT scene_id, completion, status, reward"
    " FROM 'runs/first/rollouts/step-00000003.parquet' WHERE NOT success"
).show()
duckdb.sql(
    "SELECT step, part.key AS part, avg(part.value) AS mean"
    " FROM (SELECT step, unnest(map_entries(reward_parts)) AS part"
    "       FROM 'runs/first/rollouts/*.parquet')"
    " GROUP BY ALL ORDER BY step, part"
).show()
folder = Path("runs/first/evaluation")
files = sorted(folder.glob("*_place_iid_greedy_*.json"), key=lambda file: file.stat().st_mtime)
asked = [json.loads(file.read_text()) for file in files]  # the run's own evaluation first
base = next(each for each in asked if each["policy"] == "base")
same = [each for each in asked if each["settings"] == base["settings"]]
grpo = next(each for each in same if each["policy"] == "grpo")
duckdb.sql(
    "SELECT scene_id, base.answer AS base, grpo.answer AS grpo, base.ideal"
    f" FROM '{folder / base['answers']}' AS base"
    f" JOIN '{folder / grpo['answers']}' AS grpo USING (scene_id)"
    " WHERE base.success <> grpo.success"
).show()
```
"""


def main() -> None:
    """Write the page."""
    PAGE.write_text(page())


def page() -> str:
    """Return the page.

    Raises:
        KeyError: a column has no description.
    """
    step = {name: text for name, (_, text) in rollouts.COLUMNS.items()}
    answer = tidy.DESCRIPTIONS | OFFSETS
    scene = shards.DESCRIPTIONS
    study = {name: text for name, _, text in tidy.codebook()}
    attempts = "A row for each attempt; a file for each step."
    subjects = "A row for each answer of all subjects."
    sections = (
        _table("Rollouts", attempts, rollouts.SCHEMA, step),
        _table("Answers", ABOUT_ANSWERS, ANSWERS, answer),
        _keys("What was asked", "The JSON file beside the answers of a measurement.", ASKED),
        _table("Datasets", "A row for each scene.", shards.SCHEMA, scene),
        _keys("Answers of people", ABOUT_PEOPLE, people.DESCRIPTIONS),
        _table("Answers of a study", subjects, tidy.SCHEMA, study),
    )
    lines = (line for section in sections for line in section)
    files = "\n".join(f"| {' | '.join(row)} |" for row in FILES)
    return "\n".join([HEAD + files + "\n", *lines, RECIPES])


def _table(
    title: str, about: str, schema: pa.Schema, described: Mapping[str, str]
) -> Iterator[str]:
    yield f"## {title}\n\n{about}\n"
    yield "| column | type | meaning |\n| --- | --- | --- |"
    for column in schema:
        yield f"| `{column.name}` | {_type(column.type)} | {described[column.name]} |"
    yield ""


def _keys(title: str, about: str, described: Mapping[str, str]) -> Iterator[str]:
    yield f"## {title}\n\n{about}\n"
    yield "| key | meaning |\n| --- | --- |"
    yield from (f"| `{name}` | {text} |" for name, text in described.items())
    yield ""


def _type(kind: pa.DataType) -> str:
    """Name an Arrow type; of a struct its fields, of a list its items."""
    if pa.types.is_struct(kind):
        return f"struct of {', '.join(f'`{each.name}`' for each in kind)}"
    if pa.types.is_list(kind):
        return f"list of {_type(kind.value_type)}"
    if pa.types.is_map(kind):
        return f"map of {_type(kind.key_type)} to {_type(kind.item_type)}"
    return str({"string": "text", "bool": "boolean"}.get(str(kind), str(kind)))


if __name__ == "__main__":
    main()
