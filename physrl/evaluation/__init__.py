"""What a policy can do, counted."""
