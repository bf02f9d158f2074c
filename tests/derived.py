"""The starter files filled in, as a user would: what goes into each ``...``, and files made of it."""

from pathlib import Path

from edits import edited

STARTERS = Path(__file__).parent.parent / "compare" / "cells" / "starters"

FILLED = {
    "lstm": [
        ('probe("d_h", t, ...)', 'probe("d_h", t, d_output[t] + d_h_prev)'),
        ('probe("d_o", t, ...)', 'probe("d_o", t, d_h * np.tanh(c))'),
        ('probe("d_c", t, ...)', 'probe("d_c", t, d_c_prev + d_h * o * (1 - np.tanh(c) ** 2))'),
        ('probe("d_i", t, ...)', 'probe("d_i", t, d_c * g)'),
        ('probe("d_f", t, ...)', 'probe("d_f", t, d_c * c_prev)'),
        ('probe("d_g", t, ...)', 'probe("d_g", t, d_c * i)'),
        ('probe("d_z_i", t, ...)', 'probe("d_z_i", t, d_i * i * (1 - i))'),
        ('probe("d_z_f", t, ...)', 'probe("d_z_f", t, d_f * f * (1 - f))'),
        ('probe("d_z_g", t, ...)', 'probe("d_z_g", t, d_g * (1 - g * g))'),
        ('probe("d_z_o", t, ...)', 'probe("d_z_o", t, d_o * o * (1 - o))'),
        ('probe("d_c_prev", t, ...)', 'probe("d_c_prev", t, d_c * f)'),
        ('probe("d_h_prev", t, ...)', 'probe("d_h_prev", t, sum(d_z[k] @ p[f"weight_hh_{k}"].T for k in "ifgo"))'),
        ("d_x[t] = ...", 'd_x[t] = sum(d_z[k] @ p[f"weight_ih_{k}"].T for k in "ifgo")'),
        ('[f"weight_ih_{gate}"] += ...', '[f"weight_ih_{gate}"] += x.T @ d_z[gate]'),
        ('[f"weight_hh_{gate}"] += ...', '[f"weight_hh_{gate}"] += h_prev.T @ d_z[gate]'),
        ('[f"bias_{gate}"] += ...', '[f"bias_{gate}"] += d_z[gate].sum(axis=0)'),
    ],
    "gru": [
        ('probe("d_h", t, ...)', 'probe("d_h", t, d_output[t] + d_h_prev)'),
        ('probe("d_z", t, ...)', 'probe("d_z", t, d_h * (h_prev - n))'),
        ('probe("d_n", t, ...)', 'probe("d_n", t, d_h * (1 - z))'),
        ('probe("d_z_z", t, ...)', 'probe("d_z_z", t, d_z * z * (1 - z))'),
        ('probe("d_z_n", t, ...)', 'probe("d_z_n", t, d_n * (1 - n * n))'),
        ('probe("d_q", t, ...)', 'probe("d_q", t, d_z_n * r)'),
        ('probe("d_r", t, ...)', 'probe("d_r", t, d_z_n * q)'),
        ('probe("d_z_r", t, ...)', 'probe("d_z_r", t, d_r * r * (1 - r))'),
        (
            'probe("d_h_prev", t, ...)',
            'probe("d_h_prev", t, d_h * z + d_z_r @ p["weight_hh_r"].T + d_z_z @ p["weight_hh_z"].T'
            ' + d_q @ p["weight_hh_n"].T)',
        ),
        (
            "d_x[t] = ...",
            'd_x[t] = d_z_r @ p["weight_ih_r"].T + d_z_z @ p["weight_ih_z"].T + d_z_n @ p["weight_ih_n"].T',
        ),
        ('[f"weight_ih_{gate}"] += ...', '[f"weight_ih_{gate}"] += x.T @ d_from_x'),
        ('[f"weight_hh_{gate}"] += ...', '[f"weight_hh_{gate}"] += h_prev.T @ d_from_h'),
        ('[f"bias_ih_{gate}"] += ...', '[f"bias_ih_{gate}"] += d_from_x.sum(axis=0)'),
        ('[f"bias_hh_{gate}"] += ...', '[f"bias_hh_{gate}"] += d_from_h.sum(axis=0)'),
    ],
    "rnn": [
        ('probe("d_h", t, ...)', 'probe("d_h", t, d_output[t] + d_h_prev)'),
        ('probe("d_z_h", t, ...)', 'probe("d_z_h", t, d_h * (1 - h * h))'),
        ('probe("d_h_prev", t, ...)', 'probe("d_h_prev", t, d_z_h @ p["weight_hh"].T)'),
        ("d_x[t] = ...", 'd_x[t] = d_z_h @ p["weight_ih"].T'),
        ('["weight_ih"] += ...', '["weight_ih"] += x.T @ d_z_h'),
        ('["weight_hh"] += ...', '["weight_hh"] += h_prev.T @ d_z_h'),
        ('["bias"] += ...', '["bias"] += d_z_h.sum(axis=0)'),
    ],
    "derivation": [
        ('probe("d_s", ..., t=t)', 'probe("d_s", d_y[t] @ p["weight"].T + d_s_carried, t=t)'),
        ("d_a += ...", "d_a += (d_s * (s_prev - x)).sum(axis=0)"),
        ("d_x[t] = ...", "d_x[t] = d_s * (1 - a)"),
        ("d_s_carried = ...", "d_s_carried = d_s * a"),
        ('["weight"] += ...', '["weight"] += s.T @ d_y[t]'),
        ('["bias"] += ...', '["bias"] += d_y[t].sum(axis=0)'),
        ('["rate"] = ...', '["rate"] = d_a * a * (1 - a)'),
    ],
}


#: Three independent mistakes in the LSTM: d_c is not carried back, σ' is left out, and = stands for +=.
THREE_MISTAKES = [
    ("d_f * f * (1 - f)", "d_f"),
    ("d_c_prev + d_h * o", "d_h * o"),
    ("+= x.T @ d_z[gate]", "= x.T @ d_z[gate]"),
]

O_LINE = '        o = probe("o", t, sigmoid(probe("z_o", t, z["o"])))\n'
C_LINE = '        c = probe("c", t, f * c_prev + i * g)\n'

#: What peepholes change in the LSTM.
PEEPHOLES = [
    ('CELL = "lstm"', 'CELL = "lstm"\nOPTIONS = {"peepholes": True}'),
    ('t, z["i"])', 't, z["i"] + p["weight_ch_i"] * c_prev)'),
    ('t, z["f"])', 't, z["f"] + p["weight_ch_f"] * c_prev)'),
    (O_LINE + C_LINE, C_LINE + O_LINE.replace('z["o"]', 'z["o"] + p["weight_ch_o"] * c')),
    ("(1 - np.tanh(c) ** 2)", '(1 - np.tanh(c) ** 2) + d_o * o * (1 - o) * p["weight_ch_o"]'),
    ("t, d_c * f)", 't, d_c * f + d_z["i"] * p["weight_ch_i"] + d_z["f"] * p["weight_ch_f"])'),
    (
        "        for gate in",
        '        gradients["weight_ch_i"] += (d_z["i"] * c_prev).sum(axis=0)\n'
        '        gradients["weight_ch_f"] += (d_z["f"] * c_prev).sum(axis=0)\n'
        '        gradients["weight_ch_o"] += (d_z["o"] * c).sum(axis=0)\n'
        "        for gate in",
    ),
]


def write(path: Path, cell: str, *changes: tuple[str, str]) -> Path:
    """Write a filled-in starter with some changes, each of a text that occurs once; returns the path."""
    text = (STARTERS / f"{cell}.py").read_text().replace("LEARNING = True", "LEARNING = False")
    path.write_text(edited(text, *FILLED[cell], *changes))
    return path
