"""Configuration of checkpoints."""

from pydantic import Field

from physrl.config.base import Section


class CheckpointConfig(Section):
    """Interval and retention of checkpoints."""

    every: int = Field(20, ge=1)
    """Steps between checkpoints (TRL: save_steps); the last step always writes one."""
    keep_last: int = Field(2, ge=1)
    """Latest checkpoints to keep (TRL: save_total_limit); older ones are deleted, in `storage`
    too."""
    keep_best: int = Field(0, ge=0)
    """Best checkpoints to keep besides: by validation accuracy if `evaluation.every` is set, else
    by the mean reward of their step."""
