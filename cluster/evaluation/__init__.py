"""Evaluates the servers' policy on held-out scenes and photographs."""
