"""Faults of readout, losses and optimisers, with what the lock-step lists for each while it trains an LSTM."""

from collections.abc import Iterable

from catalogue.fault import TrainingFault

READOUT = ("readout.weight", "readout.bias")
RECURRENT = tuple(f"recurrent.{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
ALL = (*RECURRENT, *READOUT)

MOMENTUM = ("--optimizer", "sgd", "--momentum", "0.9")


def _gradients(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"gradient {name}" for name in names)


def _buffers(kind: str) -> tuple[str, ...]:
    return tuple(f"optimizer {kind} of {name}" for name in ALL)


PARAMETERS = tuple(f"parameter {name}" for name in ALL)

TRAINING = [
    # readout
    TrainingFault(
        "the readout's bias does not learn",
        "linear.py",
        '"bias": rows.sum(axis=0)',
        '"bias": 0 * rows.sum(axis=0)',
        _gradients(["readout.bias"]),
    ),
    TrainingFault(
        "the readout's weights from the last step only",
        "linear.py",
        "rows.T @ h.reshape(-1, H)",
        "d_y[-1].T @ h[-1]",
        _gradients(["readout.weight"]),
    ),
    TrainingFault(
        "the readout's gradient of h has the wrong sign",
        "linear.py",
        "return d_y @ weight",
        "return -d_y @ weight",
        _gradients(RECURRENT),
    ),
    # losses
    TrainingFault(
        "the loss's gradient is not averaged",
        "losses.py",
        "- y * s_of_minus_z) / z.size",
        "- y * s_of_minus_z)",
        _gradients(ALL),
    ),
    TrainingFault(
        "the loss is summed", "losses.py", "np.mean(np.maximum(z, 0)", "np.sum(np.maximum(z, 0)", ("loss loss",)
    ),
    TrainingFault(
        "the squared error's σ' is left out",
        "losses.py",
        " * sigmoid_derivative(s)",
        "",
        _gradients(ALL),
        ("--loss", "mse"),
    ),
    TrainingFault(
        "the squared error's 2 is left out", "losses.py", "2 * (s - y)", "(s - y)", _gradients(ALL), ("--loss", "mse")
    ),
    # optimisers
    TrainingFault("Adam's mean is not corrected", "optimizers.py", " / (1 - beta1**self.steps)", "", PARAMETERS),
    TrainingFault("Adam's square is not corrected", "optimizers.py", " / correction", "", PARAMETERS),
    TrainingFault("Adam's epsilon is left out", "optimizers.py", " + eps)", ")", PARAMETERS),
    TrainingFault(
        "Adam's mean decays at the wrong rate",
        "optimizers.py",
        "mean += (1 - beta1)",
        "mean += (1 - beta2)",
        (*_buffers("exp_avg"), *PARAMETERS),
    ),
    TrainingFault(
        "Adam's square decays at the wrong rate",
        "optimizers.py",
        "square *= beta2",
        "square *= beta1",
        (*_buffers("exp_avg_sq"), *PARAMETERS),
    ),
    TrainingFault(
        "the weights do not decay",
        "optimizers.py",
        "+ self.weight_decay * parameter",
        "",
        (*_buffers("momentum_buffer"), *PARAMETERS),
        MOMENTUM,
    ),
    TrainingFault(
        "the momentum is damped",
        "optimizers.py",
        "velocity += gradient",
        "velocity += (1 - self.momentum) * gradient",
        (*_buffers("momentum_buffer"), *PARAMETERS),
        MOMENTUM,
    ),
    TrainingFault(
        "Nesterov looks ahead too far",
        "optimizers.py",
        "+ self.momentum * velocity",
        "+ velocity",
        PARAMETERS,
        (*MOMENTUM, "--nesterov"),
    ),
]
