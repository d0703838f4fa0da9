"""Storage of runs: object stores, checkpoints and run folders."""
