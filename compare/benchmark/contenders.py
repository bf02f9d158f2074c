"""What ``bench`` holds against each other: the same layer, and the same training step, by different means.

A contender is built from a case and its numbers, which are the same for all, and is then a function without
arguments that does the work once. What it needs is imported when it is built: each runs in a process of its own.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from compare.benchmark.case import LEARNING_RATE, Case, Numbers, Result, Work, named
from manual.arrays import as_state, state_parts


def by_hand(case: Case, given: Numbers) -> Work:
    """``manual``, with the memory of the tape before."""
    import manual

    rng = np.random.default_rng(0)
    layer = getattr(manual, case.cell)(case.D, case.H, dtype=case.dtype, rng=rng, threads=case.threads)
    for name, array in given.weights.items():
        layer.parameters[f"{name}_l0"][...] = array
    tape: Any = None
    if case.task == "step":
        readout = manual.Linear(case.H, 1, dtype=case.dtype, rng=rng)
        for name, array in given.readout.items():
            readout.parameters[name][...] = array
        model = manual.Model(layer, readout)
        optimizer = manual.Adam(model.parameters, lr=LEARNING_RATE)
        loss_of, d_loss_of = manual.LOSSES["bce"]

        def step() -> Result:
            nonlocal tape
            logits, _, tape = model.forward(given.x, out=tape)
            loss = loss_of(logits, given.d_output)
            _, _, gradients = model.backward(tape, d_loss_of(logits, given.d_output))
            optimizer.step(gradients)
            return Result({"loss": loss, "logits": logits}, gradients)

        return step

    state, d_state = as_state(s[None] for s in given.state), as_state(d[None] for d in given.d_state)

    def run() -> Result:
        nonlocal tape
        output, last, tape = layer.forward(given.x, state, out=tape)
        d_x, d_first, gradients = layer.backward(tape, given.d_output, d_state)
        return named(output, state_parts(last), d_x, state_parts(d_first), gradients)

    return run


def with_torch(case: Case, given: Numbers, make: Callable[[Case, Any], Any]) -> Work:
    """A torch module, its gradients by autograd; ``make`` builds it from the case and a dtype."""
    import torch

    import torch_impl

    torch.set_num_threads(case.threads)
    module = make(case, getattr(torch, case.dtype))
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(torch.from_numpy(given.weights[name.split(".")[-1].removesuffix("_l0")]))
    if case.task == "step":
        readout = torch.nn.Linear(case.H, 1, dtype=getattr(torch, case.dtype))
        readout.load_state_dict({name: torch.tensor(array) for name, array in given.readout.items()})
        model = torch_impl.Model(module, readout)
        optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
        x, y = torch.from_numpy(given.x), torch.from_numpy(given.d_output)

        def step() -> Result:
            optimizer.zero_grad()
            logits, _ = model(x)
            loss = torch_impl.LOSSES["bce"](logits, y)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            gradients = {_plain(n): p.grad for n, p in model.named_parameters()}
            return Result({"loss": loss, "logits": logits}, gradients)

        return step

    x = torch.tensor(given.x, requires_grad=True)
    state = tuple(torch.tensor(s[None], requires_grad=True) for s in given.state)
    incoming = [torch.tensor(given.d_output), *(torch.tensor(d[None]) for d in given.d_state)]
    names, leaves = [_plain(n) for n, _ in module.named_parameters()], [x, *state, *module.parameters()]

    def run() -> Result:
        output, last = module(x, as_state(state))
        last = state_parts(last)
        d_x, *rest = torch.autograd.grad([output, *last], leaves, incoming)
        return named(output, last, d_x, rest[: len(state)], dict(zip(names, rest[len(state) :])))

    return run


def _plain(name: str) -> str:
    """A parameter's name without what ``torch.compile`` wraps around the module."""
    return name.replace("_orig_mod.", "")


def written_out(case: Case, dtype: Any) -> Any:
    """The written-out module."""
    import torch_impl

    return getattr(torch_impl, case.cell)(case.D, case.H, dtype=dtype)


def compiled(case: Case, dtype: Any) -> Any:
    """The written-out module through ``torch.compile``, which gives up on what it has compiled for too many cases."""
    import torch

    torch.compiler.reset()
    return torch.compile(written_out(case, dtype))


def fused(case: Case, dtype: Any) -> Any:
    """``torch.nn.LSTM`` and its like."""
    import torch

    return getattr(torch.nn, case.cell)(case.D, case.H, dtype=dtype)


def looped(case: Case, dtype: Any) -> Any:
    """A loop over ``torch.nn.LSTMCell`` and its like."""
    import torch
    from torch import nn

    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = getattr(nn, f"{case.cell}Cell")(case.D, case.H, dtype=dtype)
            for name in list(self.cell._parameters):
                self.register_parameter(f"{name}_l0", self.cell._parameters[name])

        def forward(self, x: Any, hx: Any = None) -> Any:
            outputs = []
            state = None if hx is None else as_state(s[0] for s in state_parts(hx))
            for x_t in x:
                state = self.cell(x_t, state)
                outputs.append(state_parts(state)[0])
            return torch.stack(outputs), as_state(s[None] for s in state_parts(state))

    return Loop()


@dataclass(frozen=True)
class Contender:
    """One way to do the work, and what it takes besides what the project needs anyway."""

    label: str
    build: Callable[[Case, Numbers], Work]
    needs: str = ""
    longest: int = 0  #: steps above which it is left out, if not 0: to compile so many, written out, takes minutes

    @property
    def missing(self) -> str:
        """How to install what it needs, if it is not there."""
        if self.needs == "compiler":
            return "" if shutil.which("g++") or shutil.which("clang++") else "install a C++ compiler such as g++"
        if self.needs and not find_spec(self.needs):
            return "pip install -c constraints.txt -e '.[bench]'"
        return ""


def _jax(case: Case, given: Numbers) -> Work:
    from compare.benchmark.functional import with_jax

    return with_jax(case, given)


def _hips(case: Case, given: Numbers) -> Work:
    from compare.benchmark.functional import with_hips

    return with_hips(case, given)


def _numpy_products(case: Case, given: Numbers) -> Work:
    from compare.benchmark.limit import with_numpy

    return with_numpy(case)


def _torch_products(case: Case, given: Numbers) -> Work:
    from compare.benchmark.limit import with_torch

    return with_torch(case)


#: By the names the command line uses. The first is what the others are measured against.
CONTENDERS = {
    "manual": Contender("manual", by_hand),
    "autograd": Contender("written-out autograd", lambda case, given: with_torch(case, given, written_out)),
    "cell": Contender("nn.{cell}Cell loop", lambda case, given: with_torch(case, given, looped)),
    "fused": Contender("nn.{cell}", lambda case, given: with_torch(case, given, fused)),
    "jax": Contender("JAX jit", _jax, "jax"),
    "hips": Contender("HIPS autograd", _hips, "autograd"),
    "compiled": Contender(
        "torch.compile", lambda case, given: with_torch(case, given, compiled), "compiler", longest=16
    ),
}

#: The bare matrix products, with each BLAS at hand.
PRODUCTS = {
    "numpy": Contender("products, NumPy's BLAS", _numpy_products),
    "torch": Contender("products, torch's BLAS", _torch_products),
}
