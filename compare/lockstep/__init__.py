"""Train both sides in lock-step, comparing at every step."""
