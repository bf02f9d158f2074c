"""``torch.autograd.Function``s, in the precision that they are meant for."""

import torch

from compare import probe
from zoo.specimen import TorchSpecimen

B, D, H, S = 4, 6, 5, 3


def normal(*shape, dtype=torch.float64):
    return lambda rng: torch.tensor(rng.normal(size=shape)).to(dtype)


class LeakyIntegrator(TorchSpecimen):
    """A state that decays by a factor of its own for each unit."""

    inputs = (normal(S, B, H), normal(H))
    options = {"axes": "T B"}

    class function(torch.autograd.Function):  # noqa: N801
        @staticmethod
        def forward(ctx, x, logit):
            decay = probe("decay", torch.sigmoid(logit))
            h, hs = torch.zeros_like(x[0]), []
            for x_t in x:
                h = probe("h", decay * h + (1 - decay) * x_t)
                hs.append(h)
            hs = torch.stack(hs)
            ctx.save_for_backward(x, decay, hs)
            return hs

        @staticmethod
        def backward(ctx, d_hs):
            x, decay, hs = ctx.saved_tensors
            d_x, d_decay, d_h = torch.zeros_like(x), torch.zeros_like(decay), 0
            for t in reversed(range(len(x))):
                d_h = probe("d_h", d_h + d_hs[t])
                before = hs[t - 1] if t else torch.zeros_like(d_h)
                d_decay += (d_h * (before - x[t])).sum(dim=0)
                d_x[t] = d_h * (1 - decay)
                d_h = d_h * decay
            d_decay = probe("d_decay", d_decay)
            return d_x, d_decay * decay * (1 - decay)

    @staticmethod
    def reference(x, logit):
        decay = probe("decay", torch.sigmoid(logit))
        h, hs = torch.zeros_like(x[0]), []
        for x_t in x:
            h = probe("h", decay * h + (1 - decay) * x_t)
            hs.append(h)
        return torch.stack(hs)

    faults = (
        ("d_h + d_hs[t]", "d_hs[t]", "d_h"),
        ("(before - x[t])", "before", "d_decay"),
        ("d_decay += (d_h", "d_decay = (d_h", "d_decay"),
        ("d_decay * decay * (1 - decay)", "d_decay", "d_logit"),
        ("d_h * (1 - decay)\n", "d_h\n", "d_x"),
        ("hs[t - 1] if t", "hs[t] if t", "d_decay"),
        ("d_h = d_h * decay", "d_h = d_h * decay * (1 + 1e-6)", "d_h"),
    )


class SwiGLU16(TorchSpecimen):
    """The gate of SwiGLU in bfloat16, computed in single precision inside."""

    inputs = (normal(B, D, dtype=torch.bfloat16), normal(B, D, dtype=torch.bfloat16))

    class function(torch.autograd.Function):  # noqa: N801
        @staticmethod
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            s = probe("s", a.float() * torch.sigmoid(a.float()))
            return (s * b.float()).to(a.dtype)

        @staticmethod
        def backward(ctx, d_y):
            a, b, d_y = (tensor.float() for tensor in (*ctx.saved_tensors, d_y))
            g = torch.sigmoid(a)
            d_s = probe("d_s", d_y * b)
            d_a, d_b = d_s * (g + a * g * (1 - g)), d_y * a * g
            return d_a.bfloat16(), d_b.bfloat16()

    @staticmethod
    def reference(a, b):
        return probe("s", a * torch.sigmoid(a)) * b

    faults = (
        (" + a * g * (1 - g)", "", "d_a"),
        ("(1 - g)", "(1 + g)", "d_a"),
        ("d_y * a * g", "d_y * a", "d_b"),
        ("d_y * b)", "b)", "d_s"),
        ("d_y * b)", "d_y * b * 1.05)", "d_s"),
        ("d_y * a * g", "d_y.mean() * a * g", "d_b"),
        ('probe("s", a.float() * ', 'probe("s", ', "s"),
    )


class AttentionFunction(TorchSpecimen):
    """Attention with a mask that is not a gradient's business; one input needs none."""

    inputs = (
        lambda rng: torch.tensor(rng.normal(size=(B, D))).requires_grad_(),
        lambda rng: torch.tensor(rng.normal(size=(H, D))).requires_grad_(),
        normal(H, S),
        lambda rng: torch.tensor(rng.random((B, H)) < 0.7) | torch.eye(B, H, dtype=torch.bool),
    )

    class function(torch.autograd.Function):  # noqa: N801
        @staticmethod
        def forward(ctx, q, k, v, mask):
            s = probe("s", (q @ k.T).masked_fill(~mask, -1e9))
            p = probe("p", torch.softmax(s, dim=1))
            ctx.save_for_backward(q, k, v, p)
            return p @ v

        @staticmethod
        def backward(ctx, d_o):
            q, k, v, p = ctx.saved_tensors
            d_p = probe("d_p", d_o @ v.T)
            d_s = probe("d_s", p * (d_p - (p * d_p).sum(dim=1, keepdim=True)))
            return d_s @ k, d_s.T @ q, None, None

    @staticmethod
    def reference(q, k, v, mask):
        s = probe("s", torch.where(mask, q @ k.T, -1e9))
        return probe("p", torch.softmax(s, dim=1)) @ v

    faults = (
        ("(p * d_p).sum(dim=1, keepdim=True)", "(p * d_p).sum()", "d_s"),
        ("d_s.T @ q", "d_s.T @ q.flip(0)", "d_k"),
        ("d_s @ k,", "d_p @ k,", "d_q"),
        ("d_o @ v.T)", "d_o @ v.T / 2)", "d_p"),
        ("d_s @ k,", "d_s @ k * (1 + 1e-6),", "d_q"),
        ("d_s @ k,", "d_s[:, :-1] @ k[:-1],", "d_q"),
        ("(~mask", "(mask", "s"),
    )
