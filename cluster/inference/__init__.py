"""Generates completions: vLLM engines in Ray actors."""
