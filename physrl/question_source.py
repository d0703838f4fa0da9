"""The source of questions about images of the user's own, and of a run's scenes or questions."""

from dataclasses import dataclass

from physrl.config.questions import QuestionsConfig
from physrl.config.run import RunConfig
from physrl.data.questions import QuestionRows, question_rows
from physrl.environments.randomness import stream
from physrl.scene_source import SceneSource, scene_source
from physrl.tasks.task import FORMAT, REASONING
from physrl.types import QUESTIONS, Prompt, Question, Split, question_id


@dataclass(frozen=True, slots=True)
class QuestionSource:
    """A stream of questions: training repeats its rows, each time in another order."""

    data: QuestionsConfig
    seed: int
    split: Split
    reasoning: bool

    @property
    def tasks(self) -> tuple[str, ...]:
        """The only task."""
        return (QUESTIONS,)

    @property
    def rows(self) -> QuestionRows:
        """The rows of all splits."""
        return question_rows(self.data)

    def locate(self, index: int) -> tuple[int, int]:
        """Return how often all rows were asked before a question, and the number of its row."""
        count = self.rows.count(self.split)
        epoch, place = divmod(index, count)
        if self.split in ("validation", "test"):
            return epoch, place
        order = stream(f"{self.seed}/{QUESTIONS}/{self.split}", epoch).permutation(count)
        return epoch, int(order[place])

    def scene_id(self, index: int) -> str:
        """Return the id of a question."""
        return question_id(self.split, *self.locate(index))

    def ask(self, index: int) -> tuple[Question, Prompt]:
        """Read the row of an index, and make its prompt.

        Raises:
            DataError: the row is not readable.
        """
        return self.ask_row(*self.locate(index))

    def ask_row(self, epoch: int, number: int) -> tuple[Question, Prompt]:
        """Read a row of the split, and make its prompt.

        Raises:
            DataError: the row is not readable.
        """
        row = self.rows(self.split, number)
        question = Question(self.split, epoch, number, row.question, row.answer, row.others)
        text = own_question_text(row.question, reasoning=self.reasoning)
        return question, Prompt.ask(question.scene_id, text, self.rows.image(row))


def own_question_text(question: str, *, reasoning: bool) -> str:
    """Return a question of the user's own, with the format of the answer."""
    return question + FORMAT + (REASONING if reasoning else "")


Source = SceneSource | QuestionSource
"""A stream of scenes or of questions."""


def run_source(config: RunConfig, task: str, split: Split) -> Source:
    """Make the source of a run's scenes of a task, or of its questions."""
    if task != QUESTIONS:
        return scene_source(config, task, split)
    assert config.questions is not None  # checked by the configuration
    return QuestionSource(config.questions, config.seed, split, config.model.reasoning)
