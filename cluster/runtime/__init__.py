"""Runs Ray itself: session, placement, pools of actors, stopping."""
