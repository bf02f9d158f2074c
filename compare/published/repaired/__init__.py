"""Complete programs in the place of the four whose backward pass is wrong, each line with its equation."""
