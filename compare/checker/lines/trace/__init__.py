"""What one run computes, statement by statement and operation by operation, and what that tells of any change."""
