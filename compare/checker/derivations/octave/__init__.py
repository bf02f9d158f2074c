"""A forward and a backward pass in MATLAB's language, run by GNU Octave."""
