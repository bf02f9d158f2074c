"""What can be checked: a pair of functions in NumPy, a torch function, a file."""
