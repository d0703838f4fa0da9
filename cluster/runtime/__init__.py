"""Ray itself: session, placement, pools of actors, batching, graceful stop."""
