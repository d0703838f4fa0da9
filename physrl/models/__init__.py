"""Qwen-VL models, adapters, engines and the tiny model."""
