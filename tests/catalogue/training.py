"""Faults of readout, losses and optimisers, with what the lock-step lists for each while it trains an LSTM."""

from collections.abc import Iterable

from catalogue.fault import TrainingFault

READOUT = ("readout.weight", "readout.bias")
RECURRENT = tuple(f"recurrent.{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
ALL = (*RECURRENT, *READOUT)

MSE = ("--loss", "mse")
MOMENTUM = ("--optimizer", "sgd", "--momentum", "0.9")


def _gradients(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"gradient {name}" for name in names)


def _buffers(kind: str) -> tuple[str, ...]:
    return tuple(f"optimizer {kind} of {name}" for name in ALL)


PARAMETERS = tuple(f"parameter {name}" for name in ALL)


def _readout(title: str, old: str, new: str, *names: str) -> TrainingFault:
    return TrainingFault(title, "linear.py", old, new, _gradients(names))


def _loss(title: str, old: str, new: str, wrong: tuple[str, ...], *options: str) -> TrainingFault:
    return TrainingFault(title, "losses.py", old, new, wrong, options)


def _optimiser(title: str, old: str, new: str, *wrong: str, options: tuple[str, ...] = ()) -> TrainingFault:
    return TrainingFault(title, "optimizers.py", old, new, (*wrong, *PARAMETERS), options)


#: One for each set of tensors that a mistake can spoil.
TRAINING = [
    _readout("the readout's bias does not learn", '"bias": rows.sum', '"bias": 0 * rows.sum', "readout.bias"),
    _readout(
        "the readout's weights from the last step only",
        "rows.T @ h.reshape(-1, H)",
        "d_y[-1].T @ h[-1]",
        "readout.weight",
    ),
    _readout(
        "the readout's gradient of h has the wrong sign", "return d_y @ weight", "return -d_y @ weight", *RECURRENT
    ),
    _loss("the loss is summed", "np.mean(np.maximum(z, 0)", "np.sum(np.maximum(z, 0)", ("loss loss",)),
    _loss("the squared error's σ' is left out", " * sigmoid_derivative(s)", "", _gradients(ALL), *MSE),
    _optimiser("Adam's epsilon is left out", " + eps)", ")"),
    _optimiser(
        "Adam's mean decays at the wrong rate", "mean += (1 - beta1)", "mean += (1 - beta2)", *_buffers("exp_avg")
    ),
    _optimiser("Adam's square decays at the wrong rate", "square *= beta2", "square *= beta1", *_buffers("exp_avg_sq")),
    _optimiser(
        "the weights do not decay",
        "+ self.weight_decay * parameter",
        "",
        *_buffers("momentum_buffer"),
        options=MOMENTUM,
    ),
    _optimiser(
        "Nesterov looks ahead too far", "+ self.momentum * velocity", "+ velocity", options=(*MOMENTUM, "--nesterov")
    ),
]
