"""Base classes of the configuration's tables."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table of the configuration: frozen, and closed to unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


class TypedSection(Section):
    """A table that is chosen among others of its kind by its `type`."""

    type: str = ""
    """Selects this table."""
