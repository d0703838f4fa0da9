"""A task, a reward and an algorithm that extend physrl from outside."""
