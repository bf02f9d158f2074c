"""The wrong line of unmodified code, and the line that is right.

``program`` reads the user's functions and runs them edited. ``record`` and ``traced`` run them with every statement and
every operation seen. ``sensitivity`` says from one such run what any change of a value would change, ``known`` which
values a right run has. ``grammar`` and ``edits`` are the small mistakes of people, ``search`` tries them, ``find``
returns what is found, ``text`` and ``words`` say it.
"""
