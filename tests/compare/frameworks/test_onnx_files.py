import numpy as np
import pytest
import torch
from networks import network_of

from compare.frameworks import conversion
from compare.frameworks.layouts import LAYOUTS


@pytest.mark.parametrize("form", LAYOUTS["onnx"])
def test_a_layer_of_an_onnx_model_has_the_outputs_of_onnxruntime(tmp_path, form):
    onnxruntime = pytest.importorskip("onnxruntime")
    path = tmp_path / "model.onnx"
    conversion.write(path, "onnx", network_of(form, directions=2, dtype="float32"))
    x = np.random.default_rng(1).normal(size=(6, 2, 3)).astype(np.float32)
    (theirs,) = onnxruntime.InferenceSession(path).run(None, {"x": x})
    assert np.abs(conversion.load(path).forward(x)[0] - theirs).max() < 1e-6


@pytest.mark.filterwarnings("ignore")  # the exporter that needs nothing but ONNX is deprecated
@pytest.mark.parametrize(
    "kind, options", [("LSTM", {}), ("GRU", {"num_layers": 2, "bidirectional": True}), ("RNN", {})]
)
def test_a_model_that_torch_exported_is_read(tmp_path, kind, options):
    pytest.importorskip("onnx")
    torch.manual_seed(0)

    class Exported(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.recurrent = getattr(torch.nn, kind)(3, 5, **options)
            self.readout = torch.nn.Linear(5 * (1 + options.get("bidirectional", False)), 4)

        def forward(self, x):
            return self.readout(self.recurrent(x)[0])

    module, x = Exported().eval(), torch.randn(6, 2, 3)
    torch.onnx.export(module, (x,), tmp_path / "model.onnx", dynamo=False)
    read = conversion.load(tmp_path / "model.onnx")
    assert np.abs(read.forward(x.numpy())[0] - module(x).detach().numpy()).max() < 1e-6


ATTRIBUTES = {
    "direction": ("reverse", "expected direction forward or bidirectional, got reverse alone"),
    "activations": (["Relu", "Tanh", "Tanh"], r"expected the activations \['Sigmoid', 'Tanh', 'Tanh'\], got \['Relu'"),
    "clip": (3.0, "expected no attribute that manual lacks, got {'clip': 3.0}"),
    "layout": (1, "expected no attribute that manual lacks, got {'layout': 1}"),
}


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_an_operator_that_manual_lacks_is_refused(attribute):
    onnx = pytest.importorskip("onnx")
    from compare.frameworks.onnx_files import as_model, as_network

    value, words = ATTRIBUTES[attribute]
    model = as_model(network_of("lstm", layers=1))
    (node,) = [node for node in model.graph.node if node.op_type == "LSTM"]
    kept = [a for a in node.attribute if a.name != attribute]
    del node.attribute[:]
    node.attribute.extend([*kept, onnx.helper.make_attribute(attribute, value)])
    with pytest.raises(ValueError, match=words):
        as_network(model, "model")


def test_an_onnx_model_without_biases_and_readout_is_read():
    pytest.importorskip("onnx")
    from compare.frameworks.onnx_files import as_model, as_network

    network = network_of("gru, reset before", layers=1, readout=False)
    model = as_model(network)
    (node,) = [node for node in model.graph.node if node.op_type == "GRU"]
    node.input[3] = ""
    again = as_network(model, "model")
    assert not again.layers[0][0]["bias_ih"].any()
    assert again.layers[0][0]["weight_hh"].tobytes() == network.layers[0][0]["weight_hh"].tobytes()
    assert not again.readout
    model.graph.node.remove(node)
    with pytest.raises(ValueError, match="model: expected an LSTM, GRU or RNN operator, got none"):
        as_network(model, "model")
