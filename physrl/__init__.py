"""Post-training of vision-language models on block-tower tasks, in a single process.

This package imports neither Ray nor vLLM; `cluster` runs it on many machines.
"""

__version__ = "0.1.0"
