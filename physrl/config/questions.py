"""Configuration of questions about images of the user's own."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, TypeAdapter, ValidatorFunctionWrapHandler, WrapValidator

from physrl.config.base import Section
from physrl.config.location import Location


def _part(value: float | str) -> float | str:
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, str) or not 0 < value < 1:
        raise ValueError(
            f"is {value!r}: write a share of the rows between 0 and 1, or the name of a split"
        )
    return value


Part = Annotated[float | str, AfterValidator(_part)]
"""A share of the rows, or the name of a split."""


SUFFIXES = (".parquet", ".arrow", ".jsonl")
"""Ends of the names of files that hold rows."""


class QuestionsConfig(Section):
    """Questions about images of your own: the rows of a dataset, and the names of its columns."""

    path: Location
    """A file of rows (Parquet, Arrow or JSON lines), or a folder or s3://bucket/prefix of such
    files, as the `datasets` library saves them."""
    image: str = Field("image", min_length=1)
    """Column of the image: a Hugging Face image, the bytes of an image's file, or the path of
    one beside the file of rows."""
    question: str = Field("question", min_length=1)
    """Column of the question."""
    answer: str = Field("answer", min_length=1)
    """Column of the right answer: a text, a number, true or false (Yes or No), or a list of
    these, of which SFT takes the first."""
    split: str = Field("train", min_length=1)
    """Split to train on; files whose names contain no split are of `train`."""
    validation: Part = 0.1
    """Rows for `evaluation.every`: a share of the split's rows, or the name of another split."""
    test: Part = 0.1
    """Rows for the evaluation before and after training, in the same way."""

    @property
    def is_file(self) -> bool:
        """True if the path is that of a single file."""
        return self.path.endswith(SUFFIXES)


_location = TypeAdapter[str](Location)


def _by_form(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """Validate a table as questions and a text as a place, so that mistakes name one form alone."""
    if value is None or isinstance(value, QuestionsConfig):
        return value
    if isinstance(value, Mapping):
        return QuestionsConfig.model_validate(dict(value))
    return _location.validate_python(value)


Data = Annotated[QuestionsConfig | Location | None, WrapValidator(_by_form)]
"""The place of a collected dataset, or questions about images of the user's own."""
