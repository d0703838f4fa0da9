"""`reinforce`: its configuration, which is read without PyTorch."""

from typing import Literal

from physrl.config.algorithm import PolicyGradientConfig
from physrl.config.implementation import Implementation


class ReinforceConfig(PolicyGradientConfig):
    """REINFORCE (Williams 1992) with the group's mean reward as baseline, without clipping."""

    type: Literal["reinforce"] = "reinforce"
    """Selects this table."""


REINFORCE = Implementation(ReinforceConfig, "physrl_keystone.loss:reinforce_loss")
