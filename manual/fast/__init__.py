"""The equations of ``lstm.py``, ``gru.py`` and ``rnn.py`` in few, large operations on preallocated memory.

These kernels take no probe. They compute what the equations compute, to a few units in the last place.
"""
