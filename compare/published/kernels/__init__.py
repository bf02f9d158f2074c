"""Backward passes of kernels in wide use: mLSTM, layer norm, softmax attention and a selective scan.

Each file has the forward pass, directly below it the backward pass derived by hand, and the same in torch for autograd.
Equation numbers are those of DERIVATION.md. ``python -m compare check FILE --reference FILE:autograd`` checks one of
them, ``python -m compare kernels`` all of them, and works out every figure in README.md.
"""
