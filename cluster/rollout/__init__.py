"""Rolls scenes out: workers, stages as actor calls, the queue of coming steps."""
