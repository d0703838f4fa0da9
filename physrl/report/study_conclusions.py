"""What a study's page leads with: its conclusions, what stays open, and how they were reached."""

from collections.abc import Sequence

from physrl.evaluation.claims import Claim
from physrl.evaluation.contrast import FEWEST_SEEDS
from physrl.evaluation.evidence import ENOUGH_PARSED, SMALLEST_EFFECT
from physrl.evaluation.study_results import StudyResults
from physrl.evaluation.verdicts import Verdict

GROUPS: tuple[tuple[str, tuple[Verdict, ...]], ...] = (
    ("What can be concluded", ("supported", "contradicted", "mixed")),
    ("What cannot be concluded yet, and what would decide it", ("too little data",)),
    ("What this study does not test", ("not testable",)),
)


def claim_groups(claims: Sequence[Claim]) -> list[tuple[str, list[Claim]]]:
    """Group claims by what their verdicts allow."""
    return [
        (title, [claim for claim in claims if claim.verdict in verdicts])
        for title, verdicts in GROUPS
    ]


def methods_paragraph(results: StudyResults) -> str:
    """Write the paragraph on methods, with the study's counts."""
    plan = results.plan
    seeds = len({trial.seed for trial in plan.trials})
    scenes = sorted({cell.settings.scenes for cell in plan.cells if cell.settings.photos is None})
    return (
        f"Methods: {len(plan.trials)} models were trained, with {seeds} seeds, and answered "
        f"{' or '.join(map(str, scenes)) or 'no'} held-out scenes per task and test set, the same "
        "ones for all. The unit is the training seed. Each case of a claim is judged by an "
        "interval over seeds and scenes (two-way variance components, Student's quantiles, twins "
        "as one unit; exact bounds where all answers succeed or fail), and the intervals of a "
        "claim's cases hold at once with 95% confidence (Šidák). An effect is an increase over the "
        "best reference: the base, shuffled SFT, a warm start, blank images, constant verdicts, "
        "guesses and rules. "
        f"A difference of success rates below {SMALLEST_EFFECT:g} counts as none. Transfer is "
        "judged where the trained task was learned by that margin and at least "
        f"{ENOUGH_PARSED:.0%} of answers have the form of the other task. With fewer than "
        f"{FEWEST_SEEDS} seeds nothing is concluded."
    )
