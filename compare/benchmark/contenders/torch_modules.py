"""Torch modules whose gradients come from autograd."""

from typing import Any

import torch
from torch import nn

import torch_impl
from compare.benchmark.case import LEARNING_RATE, Inputs, Result, TimedCase, Work, layer_result
from manual.arrays import Array, as_state, state_parts


def written_out(case: TimedCase, inputs: Inputs) -> Work:
    """Build the layer of ``torch_impl``."""
    return _work(case, inputs, getattr(torch_impl, case.cell)(case.D, case.H, dtype=_dtype(case)))


def compiled(case: TimedCase, inputs: Inputs) -> Work:
    """Build the layer of ``torch_impl`` and pass it through ``torch.compile``."""
    torch.compiler.reset()  # torch.compile falls back to eager mode after a number of different sizes
    return _work(case, inputs, torch.compile(getattr(torch_impl, case.cell)(case.D, case.H, dtype=_dtype(case))))


def fused(case: TimedCase, inputs: Inputs) -> Work:
    """Build torch's own layer: ``nn.LSTM``, ``nn.GRU`` or ``nn.RNN``."""
    return _work(case, inputs, getattr(nn, case.cell)(case.D, case.H, dtype=_dtype(case)))


def cell_loop(case: TimedCase, inputs: Inputs) -> Work:
    """Build a loop over ``nn.LSTMCell``, ``nn.GRUCell`` or ``nn.RNNCell``."""
    return _work(case, inputs, _CellLoop(getattr(nn, f"{case.cell}Cell")(case.D, case.H, dtype=_dtype(case))))


class _CellLoop(nn.Module):
    """A layer that calls a cell of ``torch.nn`` at each time step, with a layer's names for its parameters."""

    def __init__(self, cell: nn.Module):
        super().__init__()
        self.cell = cell
        for name in list(cell._parameters):
            self.register_parameter(f"{name}_l0", cell._parameters[name])

    def forward(self, x: torch.Tensor, hx: Any = None) -> Any:
        outputs = []
        state = None if hx is None else as_state(s[0] for s in state_parts(hx))
        for x_t in x:
            state = self.cell(x_t, state)
            outputs.append(state_parts(state)[0])
        return torch.stack(outputs), as_state(s[None] for s in state_parts(state))


def _work(case: TimedCase, inputs: Inputs, module: Any) -> Work:
    """Give a module the weights of the inputs, and return the work that is timed, until the device has done it."""
    torch.set_num_threads(case.threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False

    def tensor(array: Array, **options: Any) -> torch.Tensor:
        return torch.tensor(array, device=case.device, **options)

    def finish() -> None:
        if case.device == "cuda":
            torch.cuda.synchronize()

    module = module.to(case.device)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(torch.from_numpy(inputs.weights[name.split(".")[-1].removesuffix("_l0")]))
    if case.task == "step":
        readout = nn.Linear(case.H, 1, device=case.device, dtype=_dtype(case))
        readout.load_state_dict({name: torch.tensor(array) for name, array in inputs.readout.items()})
        model = torch_impl.Model(module, readout)
        optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
        batch, targets = tensor(inputs.x), tensor(inputs.d_output)

        def step() -> Result:
            optimizer.zero_grad()
            logits, _ = model(batch)
            loss = torch_impl.LOSSES["bce"](logits, targets)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            finish()
            gradients = {_plain(name): parameter.grad for name, parameter in model.named_parameters()}
            return Result({"loss": loss, "logits": logits}, gradients)

        return step

    x = tensor(inputs.x, requires_grad=True)
    state = tuple(tensor(s[None], requires_grad=True) for s in inputs.state)
    incoming = [tensor(inputs.d_output), *(tensor(d[None]) for d in inputs.d_state)]
    names, leaves = [_plain(name) for name, _ in module.named_parameters()], [x, *state, *module.parameters()]

    def run() -> Result:
        output, last = module(x, as_state(state))
        last = state_parts(last)
        d_x, *rest = torch.autograd.grad([output, *last], leaves, incoming)
        finish()
        return layer_result(output, last, d_x, rest[: len(state)], dict(zip(names, rest[len(state) :])))

    return run


def _dtype(case: TimedCase) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, case.dtype)
    return dtype


def _plain(name: str) -> str:
    """Strip a parameter's name of the prefix that ``torch.compile`` adds."""
    return name.replace("_orig_mod.", "")
