"""The frameworks that a layer is compared in, as data. Nothing of theirs is imported here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

DTYPES = ("float64", "float32")


@dataclass(frozen=True)
class Framework:
    """One framework, or one of several ways to run it."""

    title: str  #: what tables call it
    modules: tuple[str, ...]  #: what has to be installed, by the names it is imported by
    layout: str  #: the key of ``LAYOUTS`` under which its forms stand
    adapter: str  #: the function of ``compare.frameworks.adapters`` that builds its layers
    engine: str  #: the key of ``ENGINES`` of what differentiates; "" if it only infers
    directions: tuple[int, ...] = (1, 2)  #: 1, and 2 if it has a layer that also runs backwards
    dtypes: tuple[str, ...] = DTYPES  #: those that it computes in
    options: Mapping[str, Any] = field(default_factory=dict)  #: further arguments for the adapter
    environment: Mapping[str, str] = field(default_factory=dict)  #: what its process has in its environment

    @property
    def missing(self) -> list[str]:
        """The modules that are not installed."""
        return [name for name in self.modules if not find_spec(name.partition(".")[0])]


def _keras(title: str, backend: str) -> Framework:
    return Framework(
        f"Keras on {title}", ("keras", backend), "keras", "keras", backend, environment={"KERAS_BACKEND": backend}
    )


def _block(title: str, version: int) -> Framework:
    layout, options = f"tensorflow-block-v{version}", {"version": version}
    return Framework(title, ("tensorflow",), layout, "tensorflow", "tensorflow", (1,), ("float32",), options)


def _onnx(title: str, modules: tuple[str, ...], runtime: str, dtypes: tuple[str, ...] = DTYPES) -> Framework:
    return Framework(title, modules, "onnx", "onnx", "", dtypes=dtypes, options={"runtime": runtime})


#: By the names the command line uses.
FRAMEWORKS = {
    "torch": Framework("torch.nn", ("torch",), "torch", "torch_nn", "torch"),
    "paddle": Framework("Paddle", ("paddle",), "paddle", "paddle", "paddle"),
    "linen": Framework("Flax linen", ("flax", "jax"), "linen", "flax", "jax", options={"api": "linen"}),
    "nnx": Framework("Flax nnx", ("flax", "jax"), "nnx", "flax", "jax", options={"api": "nnx"}),
    "haiku": Framework("Haiku", ("haiku", "jax"), "haiku", "haiku", "jax", (1,)),
    "equinox": Framework("Equinox", ("equinox", "jax"), "equinox", "equinox", "jax", (1,)),
    "keras-jax": _keras("JAX", "jax"),
    "keras-torch": _keras("torch", "torch"),
    "keras-tensorflow": _keras("TensorFlow", "tensorflow"),
    "mlx": Framework("MLX", ("mlx.core",), "mlx", "mlx", "mlx", (1,)),
    "tensorflow-block-v1": _block("TensorFlow BlockLSTM", 1),
    "tensorflow-block-v2": _block("TensorFlow BlockLSTMV2", 2),
    "onnxruntime": _onnx("ONNX Runtime", ("onnxruntime", "onnx"), "onnxruntime", ("float32",)),
    "onnx": _onnx("onnx.reference", ("onnx",), "reference"),
    "openvino": _onnx("OpenVINO", ("openvino", "onnx"), "openvino", ("float32",)),
}
