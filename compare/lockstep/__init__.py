"""Train both sides in lock-step and compare them at every step."""
