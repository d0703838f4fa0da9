"""Small pure functions from outcomes to rewards."""
