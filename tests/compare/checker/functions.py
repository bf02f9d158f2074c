"""Functions of autograd, made of two plain functions."""

import torch


def function_of(forward, backward):
    """Return a ``torch.autograd.Function``, given its backward pass of the inputs and the incoming gradients."""

    class Made(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *inputs):
            ctx.save_for_backward(*inputs)
            return forward(*inputs)

        @staticmethod
        def backward(ctx, *d_outputs):
            return backward(*ctx.saved_tensors, *d_outputs)

    return Made
