"""Right derivations: scans and recurrent cells."""

import numpy as np
import torch

from .case import case, normal


@case(axes="T B", x=(9, 3, 4))
class CumulativeSum:
    def reference(x):
        return torch.cumsum(x, 0)

    def forward(x):
        return torch.cumsum(x, 0), ()

    def backward(tape, d_y):
        return d_y.flip(0).cumsum(0).flip(0)


@case(a=lambda rng: rng.uniform(0.5, 1.5, size=(6, 4)))
class CumulativeProduct:
    def reference(a):
        return torch.cumprod(a, 0)

    def forward(a):
        y = torch.cumprod(a, 0)
        return y, (a, y)

    def backward(tape, d_y):
        a, y = tape
        return (d_y * y).flip(0).cumsum(0).flip(0) / a


@case(axes="T B", a=lambda rng: rng.uniform(0.3, 0.99, size=(12, 2, 3)), x=(12, 2, 3))
class LinearScan:
    def reference(a, x):
        h, states = torch.zeros_like(x[0]), []
        for a_t, x_t in zip(a, x):
            h = a_t * h + x_t
            states.append(h)
        return torch.stack(states)

    def forward(a, x):
        states = torch.zeros((len(x) + 1, *x.shape[1:]), dtype=x.dtype)
        for t in range(len(x)):
            states[t + 1] = a[t] * states[t] + x[t]
        return states[1:].clone(), (a, states)

    def backward(tape, d_y):
        a, states = tape
        d_a, d_x, d_h = torch.zeros_like(a), torch.zeros_like(a), torch.zeros_like(a[0])
        for t in reversed(range(len(a))):
            d_h = d_h + d_y[t]
            d_a[t], d_x[t] = d_h * states[t], d_h
            d_h = d_h * a[t]
        return d_a, d_x


@case(axes="T B", x=(7, 3, 4), w=normal(4, 5, scale=0.5), u=normal(5, 5, scale=0.5), b=(5,))
class Rnn:
    def reference(x, w, u, b):
        h, states = torch.zeros(3, 5, dtype=x.dtype), []
        for x_t in x:
            h = torch.tanh(x_t @ w + h @ u + b)
            states.append(h)
        return torch.stack(states)

    def forward(x, w, u, b):
        states = [torch.zeros(3, 5, dtype=x.dtype)]
        for x_t in x:
            states.append(torch.tanh(x_t @ w + states[-1] @ u + b))
        return torch.stack(states[1:]), (x, w, u, states)

    def backward(tape, d_y):
        x, w, u, states = tape
        d_x, d_h = torch.zeros_like(x), 0
        d_w, d_u, d_b = torch.zeros_like(w), torch.zeros_like(u), torch.zeros_like(u[0])
        for t in reversed(range(len(x))):
            d_z = (d_y[t] + d_h) * (1 - states[t + 1] ** 2)
            d_w, d_u, d_b = d_w + x[t].T @ d_z, d_u + states[t].T @ d_z, d_b + d_z.sum(0)
            d_x[t], d_h = d_z @ w.T, d_z @ u.T
        return d_x, d_w, d_u, d_b


@case(axes="T B", x=(5, 3, 2), w=normal(2, 16, scale=0.5), u=normal(4, 16, scale=0.5), c_0=(3, 4))
class Lstm:
    def reference(x, w, u, c_0):
        h, c, states = torch.zeros_like(c_0), c_0, []
        for x_t in x:
            i, f, g, o = (x_t @ w + h @ u).chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            states.append(h)
        return torch.stack(states)

    def forward(x, w, u, c_0):
        h, c, tape, states = torch.zeros_like(c_0), c_0, [], []
        for x_t in x:
            i, f, g, o = (x_t @ w + h @ u).chunk(4, 1)
            i, f, g, o = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
            tape.append((x_t, h, c, i, f, g, o))
            c = f * c + i * g
            h = o * torch.tanh(c)
            tape[-1] += (torch.tanh(c),)
            states.append(h)
        return torch.stack(states), (tape, w, u)

    def backward(saved, d_y):
        tape, w, u = saved
        d_x, d_w, d_u, d_h, d_c = [], torch.zeros_like(w), torch.zeros_like(u), 0, 0
        for d_t, (x_t, h, c, i, f, g, o, y) in zip(d_y.flip(0), tape[::-1]):
            d_h = d_t + d_h
            d_c = d_c + d_h * o * (1 - y * y)
            d_z = torch.cat(
                [d_c * g * i * (1 - i), d_c * c * f * (1 - f), d_c * i * (1 - g * g), d_h * y * o * (1 - o)], 1
            )
            d_w, d_u = d_w + x_t.T @ d_z, d_u + h.T @ d_z
            d_x.append(d_z @ w.T)
            d_h, d_c = d_z @ u.T, d_c * f
        return torch.stack(d_x[::-1]), d_w, d_u, d_c


@case(x=lambda rng: np.log(rng.uniform(0.1, 1, size=(8, 3))))
class LogScan:
    """A sum of exponentials, step by step, in the domain of logarithms."""

    def reference(x):
        return torch.logcumsumexp(x, 0)

    def forward(x):
        y = torch.log(torch.exp(x).cumsum(0))
        return y, (x, y)

    def backward(tape, d_y):
        x, y = tape
        return torch.exp(x) * (d_y * torch.exp(-y)).flip(0).cumsum(0).flip(0)
