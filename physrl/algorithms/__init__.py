"""Advantages, losses and the learner's update."""
