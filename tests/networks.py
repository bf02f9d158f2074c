"""Random networks of recurrent layers and a readout, and what they consist of and compute."""

from dataclasses import replace

import numpy as np

import manual
from compare.frameworks.layouts import FORMS
from compare.frameworks.network import Network


def network_of(form, layers=2, directions=1, readout=True, dtype="float64", lacking=False, **edges):
    """A network with random weights. A framework with one bias holds it exactly: its second biases are zeros."""
    rng = np.random.default_rng(0)
    layer = FORMS[form].layer(manual, 3, 5, num_layers=layers, bidirectional=directions == 2, dtype=dtype, rng=rng)
    for name, array in layer.parameters.items():
        array[...] = 0 if lacking and name.startswith("bias_hh") else rng.normal(scale=0.5, size=array.shape)
    linear = manual.Linear(5 * directions, 4, dtype=dtype, rng=rng)
    linear.parameters["bias"][...] = rng.normal(size=4)
    return replace(Network.of(manual.Model(layer, linear) if readout else layer), **edges)


def bits(network):
    sweeps = [weights for layer in network.layers for weights in layer]
    arrays = [*sweeps, network.readout]
    return network.form, [[(n, a.dtype, a.shape, a.tobytes()) for n, a in sorted(own.items())] for own in arrays]


def output_of(network, x):
    model = network.model()
    return model.forward(x)[0]
