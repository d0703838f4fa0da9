"""Rollouts: workers, stages as calls of actors, the queue of coming steps."""
