import torch

from compare import probe

T, H = 4, 3
INPUTS = {"x": (T, 2)}
PARAMETERS = {f"{name}_{gate}": (n, H) for gate in "ifog" for name, n in (("U", 2), ("W", H))} | {"readout": (H, 1)}
PARAMETERS |= {f"b_{gate}": () for gate in "ifog"}


def reference(p, x):
    h, c, ys = torch.zeros(1, H, dtype=x.dtype), torch.zeros(1, H, dtype=x.dtype), []
    for x_t in x[:, None]:
        z = {}
        for gate in "ifog":
            U, W = (probe(f"{name}_{gate}", p[f"{name}_{gate}"]) for name in "UW")
            bias = probe(f"b_{gate}", p[f"b_{gate}"]) if f"b_{gate}" in p else 0
            z[gate] = probe(f"z_{gate}", x_t @ U + h @ W + bias)
        i, f, o = (torch.sigmoid(z[gate]) for gate in "ifo")
        c = probe("c", f * c + i * torch.tanh(z["g"]))
        h = probe("h", o * torch.tanh(c))
        ys.append(h @ p["readout"])
    return torch.cat(ys)
