"""Evaluation of a policy on held-out scenes and photographs."""
