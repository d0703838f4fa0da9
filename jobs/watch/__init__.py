"""A read-only page about studies and runs while they go on."""
