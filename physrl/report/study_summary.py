"""Summary of a study as JSON: the headline, and all numbers of its page."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from physrl.evaluation.claims import Claim
from physrl.evaluation.people_scores import people_success
from physrl.evaluation.scores import Scores
from physrl.evaluation.specs import Condition
from physrl.evaluation.study_results import StudyResults
from physrl.report.people_tables import agreement_tables
from physrl.report.psychophysics_table import psychophysics_rows
from physrl.report.study_tables import adaptation_rows, transfer_rows


def headline(results: StudyResults) -> dict[str, Any]:
    """Summarize a study in one line of JSON; values without measurements are None."""
    generalization = results.generalization
    diagonal = generalization.gain(results.diagonal)
    off_diagonal = generalization.gain(results.off_diagonal)
    warmed = generalization.gain_over_warm_start(results.diagonal)
    # The least of all cells: an average would hide a pair of tasks whose forms differ.
    parsed = [generalization.scores[cell].parsed_share for cell in results.off_diagonal]
    photos = [
        rate.value
        for family in generalization.families
        if family.kind == "trained"
        and (rate := generalization.success_rate(family, Condition("stability", "real")))
    ]
    done = results.matrix.count("done")
    return {
        "cells_done": done,
        "cells_missing": len(results.matrix.entries) - done,
        "diagonal_gain": None if diagonal is None else round(diagonal.value, 4),
        "diagonal_gain_low": None if diagonal is None else round(diagonal.low, 4),
        "diagonal_gain_over_warm_start": None if warmed is None else round(warmed.value, 4),
        "off_diagonal_gain": None if off_diagonal is None else round(off_diagonal.value, 4),
        "off_diagonal_parsed": round(min(parsed), 4) if parsed else None,
        "real_accuracy": round(sum(photos) / len(photos), 4) if photos else None,
    }


def summarize(results: StudyResults, claims: Sequence[Claim]) -> dict[str, Any]:
    """Collect the contents of `summary.json`."""
    generalization = results.generalization
    return headline(results) | {
        "study": results.plan.name,
        "claims": [
            asdict(claim) | {"cases": [asdict(case) for case in claim.cases]} for claim in claims
        ],
        "cells": [
            {"family": family.name, **asdict(condition), **asdict(rate)}
            | _told_apart(generalization.scores[family, condition])
            for family in generalization.families
            for condition in generalization.conditions
            if (rate := generalization.success_rate(family, condition))
        ],
        "transfer": [asdict(row) | {"family": row.family.name} for row in transfer_rows(results)],
        "adaptation": [
            asdict(row) | {"family": row.family.name} for row in adaptation_rows(results)
        ],
        "psychophysics": [
            asdict(row) | {"family": row.family.name} for row in psychophysics_rows(results)
        ],
        "people": [
            {
                "group": group.name,
                "excluded": dict(group.excluded),
                "cells": [
                    {**asdict(each), **asdict(rate)}
                    for each in group.conditions
                    if (rate := people_success(group, each))
                ],
            }
            for group in results.people
        ],
        "agreement_with_people": [
            {"group": table.group, **asdict(table.condition), "ceiling": table.ceiling}
            | asdict(row)
            | {"family": row.family.name}
            for table in agreement_tables(results)
            for row in table.rows
        ],
        "comparisons": [
            {"first": c.first.name, "second": c.second.name, **asdict(c.condition), "p": c.p}
            | {"difference": asdict(c.difference)}
            for c in results.comparisons
        ],
        "missing": [
            {"subject": entry.cell.subject.name, **asdict(entry.cell.condition)}
            | {"status": entry.status, "reason": entry.reason}
            for entry in results.matrix.entries.values()
            if entry.status != "done"
        ],
    }


def _told_apart(scores: Scores) -> dict[str, float | None]:
    return {
        "parsed": scores.parsed_share,
        "legal": scores.legal_share,
        "success_if_legal": scores.success_if_legal,
    }
