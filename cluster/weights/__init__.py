"""Weight synchronization from the learner to the inference servers."""
