"""Right derivations: maxima, sorting, pooling, gates, interpolation, embeddings, clipping by the grid."""

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from .case import case, ties


@case(x=(5, 7))
class RowMax:
    def reference(x):
        return x.max(1).values

    def forward(x):
        top, at = x.max(1)
        return top, F.one_hot(at, x.shape[1])

    def backward(chosen, d_y):
        return d_y[:, None] * chosen


@case(x=ties(6, 5))
class RowMaxWithTies:
    """amax shares the gradient among all that are largest."""

    def reference(x):
        return x.amax(1)

    def forward(x):
        top = x.amax(1, keepdim=True)
        return top[:, 0], (x == top).to(x.dtype)

    def backward(largest, d_y):
        return d_y[:, None] * largest / largest.sum(1, keepdim=True)


@case(x=(6, 8), v=(6, 8))
class TopTwoGate:
    def reference(x, v):
        top, at = x.topk(2, 1)
        return (torch.softmax(top, 1) * v.gather(1, at)).sum(1)

    def forward(x, v):
        at = x.argsort(1, descending=True)[:, :2]
        chosen, p = v.gather(1, at), torch.softmax(x.gather(1, at), 1)
        return (p * chosen).sum(1), (at, chosen, p)

    def backward(tape, d_y):
        at, chosen, p = tape
        d_p = d_y[:, None] * chosen
        d_top = p * (d_p - (p * d_p).sum(1, keepdim=True))
        empty = torch.zeros((len(at), 8), dtype=p.dtype)
        return empty.scatter(1, at, d_top), empty.scatter(1, at, d_y[:, None] * p)


@case(x=lambda rng: rng.permutation([1.0, 1.0, 2.0, 3.0, 3.0, 3.0, -1.0]).reshape(1, 7).repeat(4, 0), w=(4, 7))
class SortWithTies:
    def reference(x, w):
        return (x.sort(dim=1, stable=True).values * w).sum(1)

    def forward(x, w):
        at = x.argsort(dim=1, stable=True)
        return (x.gather(1, at) * w).sum(1), (at, x.gather(1, at), w)

    def backward(tape, d_y):
        at, ordered, w = tape
        return torch.zeros_like(w).scatter(1, at, d_y[:, None] * w), d_y[:, None] * ordered


@case(x=ties(3, 8))
class MaxPool:
    def reference(x):
        return F.max_pool1d(x[:, None], 2)[:, 0]

    def forward(x):
        pairs = x.reshape(len(x), x.shape[1] // 2, 2)
        first = pairs[:, :, 0] >= pairs[:, :, 1]
        return torch.where(first, pairs[:, :, 0], pairs[:, :, 1]), first

    def backward(first, d_y):
        return torch.stack([d_y * first, d_y * ~first], 2).flatten(1)


@case(
    x=ties(
        9,
    )
)
class Median:
    def reference(x):
        return x.sort(stable=True).values[4]

    def forward(x):
        at = x.argsort(stable=True)[4]
        return x[at], F.one_hot(at, len(x))

    def backward(chosen, d_y):
        return d_y * chosen


@case(values=(8,), at=lambda rng: np.array([0.0, 1.0, 2.5, 3.0, 5.25, 6.0, 4.75]))
class Interpolation:
    """Some places are whole numbers, where the slope of the line is another on each side."""

    def reference(values, at):
        left = at.detach().floor().long().clamp(0, 6)
        share = at - left
        return values[left] * (1 - share) + values[left + 1] * share

    def forward(values, at):
        left = at.floor().long().clamp(0, 6)
        share = at - left
        return values[left] + (values[left + 1] - values[left]) * share, (values, left, share)

    def backward(tape, d_y):
        values, left, share = tape
        d_values = torch.zeros_like(values).index_add(0, left, d_y * (1 - share))
        return d_values.index_add(0, left + 1, d_y * share), d_y * (values[left + 1] - values[left])


@case(image=(5, 6), y=lambda rng: rng.uniform(0, 3.9, 7), x=lambda rng: np.array([0.0, 1.0, 2.0, 3.5, 4.25, 0.5, 3.0]))
class Grid:
    """Bilinear, in places on the lines of the grid."""

    def reference(image, y, x):
        r, c = y.detach().floor().long(), x.detach().floor().long()
        u, v = y - r, x - c
        return (
            image[r, c] * (1 - u) * (1 - v) + image[r, c + 1] * (1 - u) * v
            + image[r + 1, c] * u * (1 - v) + image[r + 1, c + 1] * u * v
        )  # fmt: skip

    def forward(image, y, x):
        r, c = y.floor().long(), x.floor().long()
        u, v = y - r, x - c
        corners = image[r, c], image[r, c + 1], image[r + 1, c], image[r + 1, c + 1]
        upper = corners[0] + v * (corners[1] - corners[0])
        lower = corners[2] + v * (corners[3] - corners[2])
        return upper + u * (lower - upper), (image, r, c, u, v, corners)

    def backward(tape, d):
        image, r, c, u, v, (a, b, e, f) = tape
        d_image = torch.zeros_like(image)
        for rows, columns, weight in (
            (r, c, (1 - u) * (1 - v)), (r, c + 1, (1 - u) * v), (r + 1, c, u * (1 - v)), (r + 1, c + 1, u * v)
        ):  # fmt: skip
            d_image.index_put_((rows, columns), d * weight, accumulate=True)
        return d_image, d * ((1 - v) * (e - a) + v * (f - b)), d * ((1 - u) * (b - a) + u * (f - e))


@case(table=(6, 4), rows=lambda rng: rng.integers(5, size=(3, 5)))
class Embedding:
    """Rows are used twice, and one never."""

    def reference(table, rows):
        return F.embedding(rows, table)

    def forward(table, rows):
        return table[rows], (table, rows)

    def backward(tape, d_y):
        table, rows = tape
        return torch.zeros_like(table).index_add(0, rows.flatten(), d_y.flatten(0, 1))


@case(x=(7, 5), mask=lambda rng: rng.uniform(size=(7, 5)) < 0.6)
class Dropout:
    def reference(x, mask):
        return x * mask / 0.6

    def forward(x, mask):
        return torch.where(mask, x / 0.6, 0 * x), mask

    def backward(mask, d_y):
        return d_y * mask / 0.6
