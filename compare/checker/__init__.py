"""Is a backward pass right, and if not, where is it wrong? Knows no cell."""
