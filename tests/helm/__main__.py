"""The chart's checks: every values file, hand-written mutations, machine-made mutants.

python -m tests.helm [--full] [--seed N]      (`make helm-test`, `make helm-test-full`)

Prints what is wrong or missed, and {"values_files", "mutations", "caught", "left_out",
"references", "reachability_rows"}.
"""

import argparse
import json
import sys

from tests.helm.chart import read_values, values_files
from tests.helm.check import violations
from tests.helm.crds import require_crds
from tests.helm.generated import rendered, sampled, try_all, try_structure
from tests.helm.mutations import catches, read_mutations
from tests.helm.reachability import evaluate
from tests.helm.references import references

SAMPLE = 3000
"""Mutants of a quick run: about a minute on one core."""
STRUCTURE, STRUCTURE_FULL = 40, 600
"""Edits of the structure of each values file, in a quick run and in a full one."""


def main() -> None:
    """Run all checks; exit with 1 where one fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="every mutant, not a sample")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    arguments = parser.parse_args()
    require_crds()
    wrong = False
    for name, path in values_files().items():
        for text in violations(read_values(path)):
            print(f"{name}: {text}")
            wrong = True
    edits, mistakes = read_mutations()
    missed = [edit.what for edit in edits if not catches(edit)]
    missed += [one.what for one in mistakes if not violations(one.values, release=one.release)]
    for what in missed:
        print(f"missed: {what}")
    tally = try_all(sampled(0 if arguments.full else SAMPLE, arguments.seed))
    tally.print()
    structure = try_structure(STRUCTURE_FULL if arguments.full else STRUCTURE, arguments.seed)
    structure.print()
    by_hand = len(edits) + len(mistakes)
    every = [rendered(name) for name in values_files()]
    figures = {
        "values_files": len(values_files()),
        "mutations": by_hand + tally.tried + structure.tried,
        "caught": by_hand - len(missed) + tally.caught + structure.caught,
        "left_out": tally.left_out.total() + structure.left_out.total(),
        "references": sum(len(references(objects)) for objects, _ in every),
        "reachability_rows": sum(evaluate(*one)[0] for one in every),
    }
    print(json.dumps(figures))
    sys.exit(wrong or bool(missed) or not (tally.suffices and structure.suffices))


if __name__ == "__main__":
    main()
