"""Functions of other frameworks with rules of their own for the gradient, checked against the framework itself."""
