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


class RMSNorm16(TorchSpecimen):
    """RMS norm in float16, its sums in single precision."""

    inputs = (normal(B, D, dtype=torch.float16), normal(D, dtype=torch.float16))
    options = {"axes": "B"}

    class function(torch.autograd.Function):  # noqa: N801
        @staticmethod
        def forward(ctx, x, w):
            r = probe("r", (x.float().square().mean(dim=1, keepdim=True) + 1e-3).rsqrt())
            ctx.save_for_backward(x, w, r)
            return (x.float() * r * w.float()).half()

        @staticmethod
        def backward(ctx, d_y):
            x, w, r = (tensor.float() for tensor in ctx.saved_tensors)
            d_n = d_y.float() * w
            d_r = probe("d_r", (d_n * x).sum(dim=1, keepdim=True))
            d_x = d_n * r - d_r * r**3 * x / x.shape[1]
            return d_x.half(), (d_y.float() * x * r).sum(dim=0).half()

    @staticmethod
    def reference(x, w):
        r = probe("r", (x.square().mean(dim=1, keepdim=True) + 1e-3).rsqrt())
        return x * r * w

    faults = (
        (" - d_r * r**3 * x / x.shape[1]", "", "d_x"),
        (" / x.shape[1]", "", "d_x"),
        ("r**3", "r", "d_x"),
        ("(d_n * x).sum", "(d_n * x).mean", "d_r"),
        ("d_y.float() * x * r", "d_y.float() * x", "d_w"),
        (".sum(dim=0).half()", "[-1].half()", "d_w"),
        ("d_n = d_y.float() * w", "d_n = d_y.float()", "d_r d_x"),
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


class LSTMCell32(TorchSpecimen):
    """One step of an LSTM in single precision, with two outputs."""

    inputs = (
        *(normal(*shape, dtype=torch.float32) for shape in ((B, D), (B, H), (B, H), (4 * H, D), (4 * H, H), (4 * H,))),
    )
    options = {"axes": "B", "outputs": ("h_new", "c_new")}

    class function(torch.autograd.Function):  # noqa: N801
        @staticmethod
        def forward(ctx, x, h, c, W, U, b):
            z = probe("z", x @ W.T + h @ U.T + b)
            i, f, g, o = z.chunk(4, dim=1)
            i, f, g, o = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
            c_new = probe("c1", f * c + i * g)
            ctx.save_for_backward(x, h, c, W, U, i, f, g, o, c_new)
            return o * torch.tanh(c_new), c_new

        @staticmethod
        def backward(ctx, d_h, d_c):
            x, h, c, W, U, i, f, g, o, c_new = ctx.saved_tensors
            th = torch.tanh(c_new)
            d_c = probe("d_c1", d_c + d_h * o * (1 - th**2))
            d_z = torch.cat(
                [d_c * g * i * (1 - i), d_c * c * f * (1 - f), d_c * i * (1 - g**2), d_h * th * o * (1 - o)], dim=1
            )
            d_z = probe("d_z", d_z)
            return d_z @ W, d_z @ U, d_c * f, d_z.T @ x, d_z.T @ h, d_z.sum(dim=0)

    @staticmethod
    def reference(x, h, c, W, U, b):
        z = probe("z", x @ W.T + h @ U.T + b)
        i, f, g, o = z.chunk(4, dim=1)
        c = probe("c1", torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g))
        return torch.sigmoid(o) * torch.tanh(c), c

    faults = (
        ("d_c + d_h * o", "d_h * o", "d_c1"),
        ("d_c * c * f * (1 - f)", "d_c * c * f", "d_z"),
        ("d_c * f, d_z.T @ x", "d_c, d_z.T @ x", "d_c"),
        ("d_z.T @ h", "d_z.T @ (o * th)", "d_U"),
        ("d_z @ U", "d_z @ W[:, :1] + d_z @ U", "d_h"),
        ("d_z.sum(dim=0)", "d_z.mean(dim=0)", "d_b"),
        ("d_h * th * o", "d_h * c_new * o", "d_z"),
    )
