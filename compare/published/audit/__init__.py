"""The audit of the published backward passes: what is wrong, how far off it is, and what that costs."""
