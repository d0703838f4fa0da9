"""Configuration of an experiment with people, and of the exclusion of persons by rule."""

from typing import Annotated

from pydantic import AfterValidator, Field

from physrl.config.base import Section
from physrl.config.environment import TestSet
from physrl.config.location import LocalPath
from physrl.config.task import TaskName

CONSENT = (
    "You will see images of towers of blocks and be asked what would happen, or where a block "
    "should go. Your answers and response times are recorded, without your name.",
    "Taking part is voluntary. You may stop at any time by closing this page, and your answers are "
    "then lost.",
)
"""Paragraphs of the page of consent; an ethics board asks for its own."""


def _web_address(address: str) -> str:
    if not address.startswith(("https://", "http://127.0.0.1", "http://localhost")):
        raise ValueError(f"is '{address}': people's answers travel by https:// alone")
    return address


WebAddress = Annotated[str, AfterValidator(_web_address)]


class ExperimentConfig(Section):
    """What people see in a study's experiment, and how it is counterbalanced."""

    title: str = Field("Block towers", min_length=1)
    """Title of the page."""
    consent: tuple[str, ...] = CONSENT
    """Paragraphs of the page of consent."""
    contact: str = ""
    """Whom people may ask, on the page of consent."""
    tasks: tuple[TaskName, ...] | None = None
    """Tasks, a part of the experiment each; null: all of the study with a single attempt."""
    test_sets: tuple[TestSet, ...] = ("iid",)
    """Test sets of the study; `real` adds a part on its photographs."""
    real_images: LocalPath | None = None
    """The study's photographs, for the test set `real`."""
    scenes: int = Field(24, ge=2, multiple_of=2)
    """Scenes of each part that a person sees: pairs of twins from the start of the test stream."""
    lists: int = Field(1, ge=1)
    """Lists of different scenes; a person sees one list."""
    practice: int = Field(2, ge=0)
    """Scenes of the warm stream before each part, with feedback."""
    catches: int = Field(2, ge=0)
    """Trials of each part that say what to answer, for the exclusion of those who do not read."""
    image_size: int | None = Field(None, ge=28, le=2048)
    """Width of the images in pixels; null: as the models see them."""
    code: str = ""
    """Code of completion that the last page shows, for a recruiting service."""
    submit: WebAddress | None = None
    """Address of a server of your own that the answers are posted to, as JSON."""
    download: bool = True
    """Offer the answers as a file on the last page; false where the host collects them itself."""


Share = Annotated[float, Field(ge=0, le=1)]


class ExclusionConfig(Section):
    """Rules that exclude persons, fixed before their answers are looked at."""

    catch_share: Share = 0.75
    """Smallest share of passed catch trials."""
    median_seconds: float = Field(0.4, ge=0)
    """Smallest median response time."""
    trials_share: Share = 0.8
    """Smallest share of the trials that an experiment asks a person for; unfinished ones have
    fewer."""
    real_images: LocalPath | None = None
    """The study's photographs, for answers about them."""
