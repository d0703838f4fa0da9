"""Inference: vLLM engines in Ray actors that sample completions."""
