"""The same recurrent layer in other frameworks: their layouts of weights, and how far each is from ``manual``."""
