"""Files that derive an LSTM with peepholes or coupled gates, in layouts of their own."""

import pytest
from derived import PEEPHOLES, write
from tiers import first

from compare import check_file

pytestmark = pytest.mark.usefixtures("tried_until_found")

COUPLED = [
    ('CELL = "lstm"', 'CELL = "lstm"\nOPTIONS = {"coupled": True}'),
    ('"gates": "i f g o"', '"gates": "i g o"'),
    ('f = probe("f", t, sigmoid(probe("z_f", t, z["f"])))', 'f = probe("f", t, 1 - i)'),
    ('d_i = probe("d_i", t, d_c * g)', 'd_i = probe("d_i", t, d_c * (g - c_prev))'),
    ('        d_f = probe("d_f", t, d_c * c_prev)\n', ""),
    ('            "f": probe("d_z_f", t, d_f * f * (1 - f)),\n', ""),
]


def checked(tmp_path, *edits, every=()):
    """Check the filled starter of an LSTM with edits, each of a text that occurs once, or ``every`` time."""
    path = write(tmp_path / "derived.py", "lstm", *edits)
    for old, new in every:
        path.write_text(path.read_text().replace(old, new))
    return check_file(path)


IGO = [('"ifgo"', '"igo"')]


@pytest.mark.slow
@pytest.mark.parametrize("variant, every", [(PEEPHOLES, ()), (COUPLED, IGO)], ids=["peepholes", "coupled"])
def test_a_right_variant_agrees(variant, every, tmp_path):
    assert checked(tmp_path, *variant, every=every).agrees


STACKED = """
import numpy as np

CELL = "lstm"
OPTIONS = {"peepholes": True, "coupled": True}
LAYOUT = {"gates": "g o i", "joined": "xh", "columns": True, "biases": 1}


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def forward(p, x, h, c, probe):
    tape, output, p_o, p_i = [], [], *np.split(p["weight_ch"], 2)
    for t in range(len(x)):
        xh, c_prev = np.hstack([x[t], h]), c
        g, o, i = np.split(xh @ p["weight"] + p["bias"], 3, axis=1)
        g, i = np.tanh(g), sigmoid(i + p_i * c_prev)
        c = (1 - i) * c_prev + i * g
        o = sigmoid(o + p_o * c)
        h = o * np.tanh(c)
        output.append(h)
        tape.append((xh, c_prev, g, o, i, c))
    return np.stack(output), h, c, tape


def backward(p, tape, d_output, d_h, d_c, probe):
    gradients, d_x, p_o, p_i = {name: np.zeros_like(a) for name, a in p.items()}, [], *np.split(p["weight_ch"], 2)
    for t in reversed(range(len(tape))):
        xh, c_prev, g, o, i, c = tape[t]
        d_h = d_h + d_output[t]
        d_o = d_h * np.tanh(c) * o * (1 - o)
        d_c = d_c + d_h * o * (1 - np.tanh(c) ** 2) + d_o * p_o
        d_i = d_c * (g - c_prev) * i * (1 - i)
        d_z = np.hstack([d_c * i * (1 - g**2), d_o, d_i])
        gradients["weight"] += xh.T @ d_z
        gradients["bias"] += d_z.sum(axis=0)
        gradients["weight_ch"] += np.hstack([(d_o * c).sum(axis=0), (d_i * c_prev).sum(axis=0)])
        d_c = d_c * (1 - i) + d_i * p_i
        d_xh = d_z @ p["weight"].T
        d_x.append(d_xh[:, : -d_h.shape[1]])
        d_h = d_xh[:, -d_h.shape[1] :]
    return np.stack(d_x[::-1]), d_h, d_c, gradients
"""


@pytest.mark.slow
def test_both_agree_in_one_stacked_matrix_without_probes(tmp_path):
    path = tmp_path / "derived.py"
    path.write_text(STACKED)
    assert check_file(path).agrees
    path.write_text(STACKED.replace("(1 - i) + d_i * p_i", "(1 - i)"))
    report = check_file(path)
    assert not report.agrees
    assert report.unrecorded and {"d_c_0", "weight_ch i"} <= {*report.consequences}


FAULTS = {
    "z_o": (PEEPHOLES, ('p["weight_ch_o"] * c)', 'p["weight_ch_o"] * c_prev)')),
    "d_c": (PEEPHOLES, (' + d_o * o * (1 - o) * p["weight_ch_o"]', "")),
    "d_c_prev": (PEEPHOLES, (' + d_z["f"] * p["weight_ch_f"]', "")),
    "weight_ch_o": (PEEPHOLES, ('(d_z["o"] * c)', '(d_z["o"] * c_prev)')),
    "d_i": (COUPLED, ("d_c * (g - c_prev)", "d_c * g")),
    "f": (COUPLED, ("1 - i)", "i)")),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", first(1, FAULTS))
def test_a_fault_is_named(name, tmp_path):
    variant, fault = FAULTS[name]
    if variant is COUPLED and name == "f":
        variant = [(old, new.replace("1 - i)", "i)")) for old, new in variant]
        report = checked(tmp_path, *variant, every=IGO)
    else:
        report = checked(tmp_path, *variant, fault, every=IGO if variant is COUPLED else ())
    assert {found.name for found in report.faults} == {name}


@pytest.mark.parametrize(
    "options, words",
    [
        (
            "{'peepholes': True, 'output_tanh': False}",
            "output_tanh: expected True with peepholes, got False",
        ),
        ("{'coupled': True}", "gates: expected 'i g o' in any order, got 'i f g o'"),
        ("{'peepholes': 1.5}", "peepholes: expected False or True, got 1.5"),
    ],
)
def test_what_does_not_go_together_is_refused(options, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        checked(tmp_path, ('CELL = "lstm"', f'CELL = "lstm"\nOPTIONS = {options}'))
