"""Where the two sides meet: shared weights, the comparison, the report."""
