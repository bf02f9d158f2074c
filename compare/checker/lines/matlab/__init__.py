"""MATLAB's language, as far as derivations are plain: read as Python's syntax trees, run as NumPy, written back.

A tree has the places of the .m file, so that a statement's text is the user's own. What is not in the subset is
refused, and then there is no search for a line. Nothing rests on the translation alone: it has to compute what Octave
does, and a repair is run by Octave.
"""
