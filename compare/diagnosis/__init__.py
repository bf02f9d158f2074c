"""Find which equation of a derivation is wrong."""
