"""A study's answers as one table, a row each, for lme4, brms or pandas; with a codebook."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from physrl.evaluation.cells import CellStore
from physrl.evaluation.families import family_of
from physrl.evaluation.matrix import Matrix, make_matrix
from physrl.evaluation.people import PeopleGroup, PersonAnswer
from physrl.evaluation.result_files import ANSWER, CONDITION, dump_row
from physrl.evaluation.results import Answer
from physrl.evaluation.specs import Condition, StudyPlan, Subject

TABLE, CSV, CODEBOOK = "answers.parquet", "answers.csv", "codebook.csv"
SUBJECT: dict[str, tuple[pa.DataType, str]] = {
    "study": (pa.string(), "Name of the study"),
    "subject": (
        pa.string(),
        "Name of the model, control or person; one training run is one subject",
    ),
    "family": (pa.string(), "Name of the subjects that differ only in their seed"),
    "kind": (pa.string(), "trained, base, baseline, people, or the kind of a control"),
    "model": (pa.string(), "Name of the model in the grid; empty for controls"),
    "method": (pa.string(), "Training method; empty for untrained models and controls"),
    "variant": (pa.string(), "Variant of the grid; empty for untrained models and controls"),
    "seed": (pa.int64(), "Seed of the training run: the unit of inference; null if not trained"),
    "trained_on": (pa.string(), "Tasks that it was trained on, joined by +"),
    "on_trained_task": (pa.bool_(), "True if the task of the question is one of them"),
}
"""Types and descriptions of the columns that describe the subject."""
ITEM: dict[str, tuple[pa.DataType, str]] = {
    "pair": (pa.int64(), "Number of the pair of twins within a task and test set; null for photos"),
    "parsed": (pa.bool_(), "True if the answer has the form of the task"),
    "legal": (pa.bool_(), "True if the answer could be carried out"),
    "offset_x": (pa.float64(), "Answered offset to the right, in block widths"),
    "offset_y": (pa.float64(), "Answered offset upwards, in block widths"),
    "ideal_x": (pa.float64(), "Ideal offset to the right, in block widths"),
    "ideal_y": (pa.float64(), "Ideal offset upwards, in block widths"),
    "seconds": (pa.float64(), "Response time of a person in seconds; null for models"),
}
"""Columns that are derived from an answer."""
DESCRIPTIONS = {
    "task": "Task of the question",
    "test_set": "Set of scenes: iid is like training; real are photographs",
    "shots": "Number of examples before the question",
    "decoding": "greedy or sampled",
    "images": "shown, or blank for the control without sight",
    "examples": "Examples before the question: solved, or form (answers to scenes not shown)",
    "scene_id": "Scene or photograph: crossed with subjects",
    "completion": "Text of the model",
    "answer": "Parsed answer as text; empty if it could not be parsed",
    "ideal": "Ideal answer as text",
    "success": "True if the outcome is a success: the dependent variable",
    "status": "settled, illegal or unparseable",
    "reward": "Reward of the answer",
    "predicted_falls": "Verdict of the answer: true for Yes",
    "falls": "True verdict",
    "probability": "Probability of the whole completion under the sampling policy",
    "probability_yes": "Probability of Yes in place of the answer, given what Yes and No share; "
    "null without an answer, or for questions about places",
    "probability_no": "The same of No; what both lack of 1 is that of anything else",
    "margin": "Static margin of the tower in block widths; positive if it stands",
    "blocks": "Number of blocks of the tower",
    "height": "Height of the tower in block widths",
    "side": "Side of the red block, or to which the tower's top leans",
    "generator": "Name of the set of scenes, or real",
}
"""Descriptions of the columns of a cell's file."""
LISTS = ("offset", "ideal_offset")
"""Columns of a cell's file that become two columns each."""
PLAIN = {name: kind for name, kind in (CONDITION | ANSWER).items() if name not in LISTS}
SCHEMA = pa.schema(
    {name: kind for name, (kind, _) in (SUBJECT | ITEM).items()} | PLAIN  # subject, item, answer
)


def write_tidy(plan: StudyPlan, store: CellStore, folder: Path) -> int:
    """Write the table as Parquet and CSV, with a codebook; returns the number of rows.

    Cells are read one at a time, as a large study's answers are gigabytes.

    Raises:
        DataError: a cell is damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    matrix, rows = make_matrix(plan, store), 0
    with (
        pq.ParquetWriter(folder / TABLE, SCHEMA, compression="zstd") as parquet,
        pyarrow.csv.CSVWriter(folder / CSV, SCHEMA) as text,
    ):
        for table in _tables(plan, matrix, store):
            parquet.write_table(table)
            text.write_table(table)
            rows += table.num_rows
    with (folder / CODEBOOK).open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["column", "type", "description"])
        writer.writerows(codebook())
    return rows


def codebook() -> list[tuple[str, str, str]]:
    """List name, type and description of each column."""
    described = {name: text for name, (_, text) in (SUBJECT | ITEM).items()} | DESCRIPTIONS
    return [(column.name, str(column.type), described[column.name]) for column in SCHEMA]


def _tables(plan: StudyPlan, matrix: Matrix, store: CellStore) -> Iterator[pa.Table]:
    for entry in matrix.entries.values():
        result = store.read_cell(entry.cell.key) if entry.status == "done" else None
        if result is None:
            continue
        about = _describe(plan.name, entry.cell.subject, result.condition.task)
        is_paired = result.condition.test_set != "real"
        rows = [
            about | _row(result.condition, answer, number // 2 if is_paired else None)
            for number, answer in enumerate(result.answers)
        ]
        yield pa.Table.from_pylist(rows, SCHEMA)
    for group in store.read_people(plan.name):
        rows = [
            _describe_person(plan.name, group, each.person)
            | _row(each.condition, each.answer, _pair(each))
            | {"seconds": each.seconds}
            for each in group.answers
        ]
        yield pa.Table.from_pylist(rows, SCHEMA)


def _row(condition: Condition, answer: Answer, pair: int | None) -> dict[str, Any]:
    row = dump_row(condition, answer)
    offset, ideal = row.pop("offset"), row.pop("ideal_offset")
    return row | {
        "pair": pair,
        "parsed": answer.status != "unparseable",
        "legal": answer.status == "settled",
        "offset_x": offset[0] if offset else None,
        "offset_y": offset[1] if offset else None,
        "ideal_x": ideal[0] if ideal else None,
        "ideal_y": ideal[1] if ideal else None,
    }


def _pair(given: PersonAnswer) -> int | None:
    if given.condition.test_set == "real":
        return None
    return int(given.answer.scene_id.rpartition("/")[2]) // 2


def _describe(study: str, subject: Subject, task: str) -> dict[str, Any]:
    is_trained = subject.kind in ("trained", "baseline")
    return {
        "study": study,
        "subject": subject.name,
        "family": family_of(subject).name,
        "kind": subject.kind,
        "model": subject.model,
        "method": subject.method,
        "variant": subject.variant,
        "seed": subject.seed if is_trained else None,
        "trained_on": "+".join(subject.trained_on),
        "on_trained_task": task in subject.trained_on,
    }


def _describe_person(study: str, group: PeopleGroup, person: int) -> dict[str, Any]:
    subject = Subject("people", "", f"{group.name} {person}")
    return _describe(study, subject, "") | {"family": group.name}
