"""The learner: DeepSpeed ranks in Ray actors, their group, and recovery from lost ranks."""
