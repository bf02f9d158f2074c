import numpy as np
import pytest
from extras import needs_numba
from oracles import relative_error

from manual.engines import ENGINES
from manual.optimizers import SGD, Adam

torch = pytest.importorskip("torch")

SHAPES = {"weight": (5, 3), "bias": (4,)}
CASES = [
    (SGD, torch.optim.SGD, options)
    for options in (
        {},
        {"momentum": 0.9},
        {"momentum": 0.7, "nesterov": True},
        {"weight_decay": 0.1},
        {"momentum": 0.7, "nesterov": True, "weight_decay": 0.1},
    )
] + [
    (Adam, torch.optim.Adam, options)
    for options in ({}, {"weight_decay": 0.1}, {"betas": (0.5, 0.7)}, {"eps": 0.1}, {"betas": (0.0, 0.0)})
]


def draw(seed, dtype=np.float64):
    rng = np.random.default_rng(seed)
    turn = np.exp(1j * rng.normal()) if np.issubdtype(dtype, np.complexfloating) else 1
    return {name: (turn * rng.normal(size=shape)).astype(dtype) for name, shape in SHAPES.items()}


@pytest.mark.parametrize(
    "dtype, tolerance, lr", [(np.float32, 1e-5, 1e-3), (np.float64, 1e-12, 10.0), (np.complex128, 1e-12, 0.1)]
)
@pytest.mark.parametrize("ours, theirs, options", CASES)
def test_ten_steps_are_torchs(ours, theirs, options, lr, dtype, tolerance):
    parameters = draw(0, dtype)
    tensors = {name: torch.tensor(array, requires_grad=True) for name, array in parameters.items()}
    optimizer, reference = ours(parameters, lr=lr, **options), theirs(list(tensors.values()), lr=lr, **options)
    for step in range(10):
        gradients = draw(step + 1, dtype)
        optimizer.step(gradients)
        for name, tensor in tensors.items():
            tensor.grad = torch.tensor(gradients[name])
        reference.step()
        for name, tensor in tensors.items():
            assert relative_error(parameters[name], tensor.detach().numpy()) < tolerance
            for kind, buffers in optimizer.buffers.items():
                assert relative_error(buffers[name], reference.state[tensor][kind].numpy()) < tolerance


@pytest.mark.slow
@needs_numba
@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 1e-6), (np.float64, 1e-15)])
@pytest.mark.parametrize("options", [options for ours, _, options in CASES if ours is Adam])
def test_ten_compiled_steps_are_those_of_numpy(options, dtype, tolerance):
    both = {engine: Adam(draw(0, dtype), lr=0.1, engine=engine, **options) for engine in ENGINES}
    for step in range(10):
        for optimizer in both.values():
            optimizer.step(draw(step + 1, dtype))
    ours, reference = both["compiled"], both["numpy"]
    for name in SHAPES:
        assert relative_error(ours.parameters[name], reference.parameters[name]) < tolerance
        for kind, buffers in ours.buffers.items():
            assert relative_error(buffers[name], reference.buffers[kind][name]) < tolerance


@pytest.mark.slow
@needs_numba
def test_compiled_steps_update_parameters_in_any_memory_order():
    arrays = {
        "a": draw(0)["weight"],
        "b": np.asfortranarray(draw(0)["weight"]),
        "c": np.repeat(draw(0)["bias"], 2)[::2],
    }
    expected = {name: array.copy() for name, array in arrays.items()}
    gradients = {"a": draw(1)["weight"], "b": draw(2)["weight"].T.copy().T, "c": draw(3)["bias"]}
    Adam(arrays, engine="compiled").step(gradients)
    Adam(expected).step(gradients)
    for name, array in arrays.items():
        assert relative_error(array, expected[name]) < 1e-15


@needs_numba
def test_a_parameter_s_dtype_that_is_not_compiled_is_named():
    with pytest.raises(TypeError, match="dtype: expected float32 or float64 for the engine 'compiled', got complex128"):
        Adam(draw(0, complex), engine="compiled")


BEFORE, VELOCITY, SQUARE = draw(1)["weight"], draw(3)["weight"], draw(4)["weight"] ** 2


def after_one_step(build):
    """The parameter and the buffers after one step from given ones, and the gradient, to be held against equations."""
    parameters, gradients = {"a": BEFORE.copy()}, {"a": draw(2)["weight"]}
    built = build(parameters)
    for kind, buffers in built.buffers.items():
        buffers["a"][...] = SQUARE if kind == "exp_avg_sq" else VELOCITY
    built.step(gradients)
    return {"parameter": parameters["a"]} | {kind: arrays["a"] for kind, arrays in built.buffers.items()}, gradients[
        "a"
    ]


@pytest.mark.parametrize(
    "number, build, what, expected",
    [
        ("U1", lambda p: SGD(p, 0.5, weight_decay=0.2), "parameter", lambda g: BEFORE - 0.5 * (g + 0.2 * BEFORE)),
        ("U2", lambda p: SGD(p, 0.5, 0.9), "momentum_buffer", lambda g: 0.9 * VELOCITY + g),
        (
            "U3",
            lambda p: SGD(p, 0.5, 0.9, nesterov=True),
            "parameter",
            lambda g: BEFORE - 0.5 * (g + 0.9 * (0.9 * VELOCITY + g)),
        ),
        ("U4", lambda p: SGD(p, 0.5), "parameter", lambda g: BEFORE - 0.5 * g),
        ("U5", lambda p: Adam(p, 0.5), "exp_avg", lambda g: 0.9 * VELOCITY + 0.1 * g),
        ("U6", lambda p: Adam(p, 0.5), "exp_avg_sq", lambda g: 0.999 * SQUARE + 0.001 * g**2),
    ],
)
def test_an_equation_of_a_step(number, build, what, expected):
    after, gradient = after_one_step(build)
    assert relative_error(after[what], expected(gradient)) < 1e-14


def test_equation_u7():
    after, _ = after_one_step(lambda p: Adam(p, 0.5, eps=0.1))
    mean, square = after["exp_avg"] / (1 - 0.9), after["exp_avg_sq"] / (1 - 0.999)
    assert relative_error(after["parameter"], BEFORE - 0.5 * mean / (np.sqrt(square) + 0.1)) < 1e-14


def test_gradients_are_not_changed():
    parameters, gradients = draw(0), draw(1)
    for optimizer in (SGD(parameters, 0.1, 0.9, 0.1, nesterov=True), Adam(parameters, 0.1, weight_decay=0.1)):
        optimizer.step(gradients)
    assert all(np.array_equal(gradient, draw(1)[name]) for name, gradient in gradients.items())


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda p: SGD(p, -1), "lr: expected at least 0, got -1"),
        (lambda p: Adam(p, float("nan")), "lr: expected at least 0, got nan"),
        (lambda p: SGD(p, 1, momentum=-0.1), "momentum: expected at least 0, got -0.1"),
        (lambda p: SGD(p, 1, nesterov=True), "nesterov: expected a momentum above 0, got 0.0"),
        (lambda p: Adam(p, 1, weight_decay=-1), "weight_decay: expected at least 0, got -1"),
        (lambda p: Adam(p, 1, betas=(0.9, 1.0)), r"betas: expected two numbers in \[0, 1\), got \(0.9, 1.0\)"),
        (lambda p: Adam(p, 1, eps=-1), "eps: expected at least 0, got -1"),
    ],
)
def test_a_setting_outside_its_range_is_named(build, message):
    with pytest.raises(ValueError, match=message):
        build(draw(0))


def test_gradients_that_do_not_fit_are_named_and_change_nothing():
    parameters = draw(0)
    optimizer = SGD(parameters, 0.1)
    with pytest.raises(ValueError, match=r"gradients: expected \['bias', 'weight'\], got \['weight'\]"):
        optimizer.step({"weight": draw(1)["weight"]})
    with pytest.raises(ValueError, match=r"bias: expected shape \(its parameter's shape\) = \(4,\), got \(1,\)"):
        optimizer.step(draw(1) | {"bias": np.ones(1)})
    with pytest.raises(TypeError, match="bias: expected dtype float64, got float32"):
        optimizer.step(draw(1) | {"bias": draw(1, np.float32)["bias"]})
    assert all(np.array_equal(parameter, draw(0)[name]) for name, parameter in parameters.items())
