"""The wrong line of unmodified code, and the line that is right.

``program`` reads the user's functions and runs them edited; ``case`` and ``torch_case`` run them on a trial. ``trace``
has what one run tells: every value, how all gradients depend on it, and which values a right run has. ``edits`` has the
small mistakes of people. ``locate`` tells which statements could be wrong, ``step`` searches for one fault, ``search``
for all of them, ``find`` returns each as a ``wrong_line``, and ``fix`` writes the right ones into a file.
"""
