import torch

from compare import probe

D, H = 2, 3
INPUTS = {"x": (D, 4)}
PARAMETERS = {f"{name}_{gate}": shape for gate in "figo" for name, shape in (("W", (H, D)), ("U", (H, H)), ("b", (H,)))}


def reference(p, x):
    h = c = torch.zeros(H, dtype=x.dtype)
    hs = []
    for x_t in x.T:
        h, c = probe("h_prev", h), probe("c_prev", c)
        z = {gate: probe(f"z_{gate}", p[f"W_{gate}"] @ x_t + p[f"U_{gate}"] @ h + p[f"b_{gate}"]) for gate in "figo"}
        i, f, o = (torch.sigmoid(z[gate]) for gate in "ifo")
        c = probe("c", f * c + i * torch.tanh(z["g"]))
        h = probe("h", o * torch.tanh(c))
        hs.append(h)
    return torch.stack(hs, dim=1)
