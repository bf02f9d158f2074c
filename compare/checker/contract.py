"""What autograd may ask of a ``torch.autograd.Function`` beyond right gradients: each a call with a right answer."""

import inspect
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from compare.checker.arguments import incoming, shuffled
from compare.checker.derivations.form import as_real, form_of, named
from compare.checker.derivations.problem import Problem
from compare.checker.derivations.torch_function import Call, TorchFunction
from compare.checker.derivations.transforms import jvp_of, vmap_of
from compare.checker.expected import Expected
from compare.checker.notation import Notation
from compare.checker.recorder import unheard
from compare.checker.reference import Autograd, check_finite, leaves, of_function
from compare.checker.run import Runner
from compare.checker.trials import Trial

#: Runs the function on a trial and returns the names of what differs from the reference there.
Differing = Callable[[TorchFunction, Trial], list[str]]


@dataclass(frozen=True)
class Breach:
    """A part of the contract that a function breaks: its kind, what happens, the call that does it, and the remedy."""

    kind: str
    title: str
    call: str
    fix: str


@dataclass(frozen=True)
class Demand:
    """A part of the contract: how a function is called, on which trial, and what is wrong where it does not agree.

    ``call`` shows it in code. ``refusable`` says that a clear error in its place is right.
    """

    kind: str
    title: str
    call: str
    fix: str
    function: TorchFunction
    trial: Trial
    refusable: bool = False


def breaches(
    function: TorchFunction,
    trial: Trial,
    expected: Callable[[Trial], Expected],
    notation: Notation,
    left_out: Sequence[str],
) -> list[Breach | str]:
    """Return what a function breaks of the contract, the first of each kind, and in words what it refuses clearly.

    On ``trial`` it agrees, ``expected`` is what is right on one, and ``left_out`` are the gradients that it does not
    have.
    """
    standards: dict[int, Expected] = {}  # which hold the trials, so that no other has the number of one

    def differing(called: TorchFunction, trial: Trial) -> list[str]:
        if id(trial) not in standards:
            standards[id(trial)] = expected(trial)
        run = Runner(called, trial, standards[id(trial)], notation).run()
        return [name for name in (*run.wrong, *run.answer.left_out) if name not in left_out]

    if trial.small is not trial and _agrees(function, trial.small, differing):
        trial = trial.small
    if written := _written(function, trial):
        return [written]  # which other calls show, too
    found: dict[str, Breach | str] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such as of the mean of nothing
        for breach in (*_hidden_leaves(function, trial), *_custom_operator(function, trial)):
            found.setdefault(breach.kind, breach)
        for demand in (
            *_strides(function, trial),
            *_graph(function, trial),
            *_parts(function, trial),
            *_rules(function, trial),
        ):
            if isinstance(demand, str):
                found[demand] = demand
            elif demand.kind not in found and (result := _answered(demand, differing)):
                found[demand.kind] = result
    return [*found.values()]


def _answered(demand: Demand, differing: Differing) -> Breach | str:
    """Return how the function breaks a demand, in words how it refuses it, or "" if it meets it."""
    refused = ""
    try:
        wrong = ", ".join(differing(demand.function, demand.trial))
    except Exception as error:
        message = str(error).strip().partition("\n")[0]
        clear = isinstance(error, ValueError) or (
            re.search("contiguous|stride|single memory location", message) and "setStorage" not in message
        )
        wrong = f"{type(error).__name__}: {message}"
        refused = f"Refuses {demand.title}, with a clear error: {message}" if demand.refusable and clear else ""
    plain = replace(demand.function, call=Call())
    if not wrong or (demand.function.call != plain.call and not _agrees(plain, demand.trial, differing)):
        return ""  # the second, since it is the values, not the call
    return refused or Breach(demand.kind, f"{demand.title}: {wrong}", demand.call, demand.fix)


def _agrees(function: TorchFunction, trial: Trial, differing: Differing) -> bool:
    with suppress(Exception):  # expanded, a matrix is singular
        return not differing(function, trial)
    return False


def _strides(function: TorchFunction, trial: Trial) -> Iterator[Demand]:
    """Yield calls with other layouts in memory of the incoming gradient and of the inputs."""
    first = _output(trial)
    fix = "compute with strides, or call .contiguous() on what a kernel reads"
    for layout, how in ((transposed, f"d_{first}.mT.contiguous().mT"), (stepped, f"d_{first}[..., ::2]")):
        call = f"{first}.backward({how})"
        yield Demand(
            "incoming strides", "an incoming gradient with other strides", call, fix,
            replace(function, call=Call(d_outputs=layout)), trial, True,
        )  # fmt: skip
    ones = {name: np.full_like(d, 0.75) for name, d in trial.problem.d_outputs.items()}
    yield Demand(
        "expanded incoming", "an incoming gradient that is expanded from one number, as sum gives it",
        f"{first}.sum().backward()", fix,
        replace(function, call=Call(d_outputs=expanded)), trial.having(d_outputs=ones), True,
    )  # fmt: skip
    for layout, how in ((transposed, "x.mT.contiguous().mT"), (stepped, "x[..., 1::2]")):
        yield Demand(
            "input strides", "inputs with other strides", f"f({how})", fix,
            replace(function, call=Call(inputs=layout)), trial, True,
        )  # fmt: skip
    arrays = trial.problem.inputs
    several = {n: a for n, a in arrays.items() if isinstance(a, np.ndarray) and a.ndim}
    same = arrays | {n: np.repeat(a[:1], len(a), axis=0) for n, a in several.items()}
    yield Demand(
        "expanded input", "inputs that are expanded", "f(x[:1].expand_as(x))", fix,
        replace(function, call=Call(inputs=expanded)), trial.having(inputs=same), True,
    )  # fmt: skip


def _graph(function: TorchFunction, trial: Trial) -> Iterator[Demand]:
    """Yield calls in another order: backward twice, and another forward pass before it."""
    yield Demand(
        "second backward", "a second backward pass on the same graph",
        "torch.autograd.grad(y, x, d_y, retain_graph=True), twice",
        "write into no saved tensor, and take nothing off the context",
        replace(function, call=Call(twice=True)), trial,
    )  # fmt: skip
    with suppress(Exception):  # the reference does not take the values in another order
        other = trial.having(inputs=shuffled(trial.problem.inputs, np.random.default_rng(0)))
        check_finite(other.reference())
        yield Demand(
            "another forward", "another forward pass before the backward pass",
            "y = f(x); f(other); y.backward(d_y)", "keep what backward needs on ctx, never on the class or in a buffer",
            replace(function, call=Call(between=other.problem)), trial,
        )  # fmt: skip


def _parts(function: TorchFunction, trial: Trial) -> Iterator[Demand]:
    """Yield calls in which one input requires a gradient, in which one output is used, and with no rows."""
    inputs, outputs = trial.problem.differentiable, list(trial.problem.d_outputs)
    for name in inputs if len(inputs) > 1 else []:
        fixed = frozenset(inputs) - {name} | trial.problem.fixed
        yield Demand(
            "one input", f"only {name} requiring a gradient", f"f(…) with {name}.requires_grad alone",
            "compute what ctx.needs_input_grad asks for, each by itself",
            function, trial.having(fixed=fixed),
        )  # fmt: skip
    for name in outputs if len(outputs) > 1 else []:
        d_outputs = {n: d if n == name else np.zeros_like(d) for n, d in trial.problem.d_outputs.items()}
        yield Demand(
            "one output", f"only {name} used", f"{name}.backward(d_{name})",
            "take None, or zeros, for the incoming gradients of outputs that are not used",
            replace(function, call=Call(only_output=name)), trial.having(d_outputs=d_outputs),
        )  # fmt: skip
    if empty := trial.of_rows(0):
        yield Demand(
            "no rows", "inputs without rows", "f(x[:0])", "return empty gradients, and zeros for parameters",
            function, empty, True,
        )  # fmt: skip


def _rules(function: TorchFunction, trial: Trial) -> Iterator[Demand | str]:
    """Yield calls of the rules for forward mode and for batches that a Function defines; in words, what has none."""
    kind, base = function.function, torch.autograd.Function
    if not isinstance(kind, type):
        return
    assert trial.on, "only trials of a function have demands"
    known, inputs = trial.on(trial.problem).function, trial.problem.inputs
    own = function.form.flat(kind.apply)  # type: ignore[attr-defined]

    def reference(*leaves: Any) -> dict[str, torch.Tensor]:
        return named(known({}, list(leaves), unheard))

    def demand(title: str, flats: list[Any], given: dict[str, Any], fixed: frozenset[str], call: str) -> Demand | str:
        like = [as_real(v).detach().contiguous().clone() if isinstance(v, torch.Tensor) else v for v in function.like]
        like += [torch.empty((), dtype=function.dtype)] * (len(given) - len(like))
        form, _ = form_of(list(given), like, {}, {}, lambda leaf: hasattr(leaf, "shape"))
        on = partial(Autograd, of_function(flats[1], None))
        problem = Problem({}, given, {}, fixed)
        try:
            outputs = on(problem).outputs(None)
        except Exception as error:  # for instance a reference that is itself no torch
            return f"Not compared: {title}, since the reference has none: {error}"
        problem = replace(problem, d_outputs=incoming(outputs, np.random.default_rng(0)))
        changed = replace(trial, problem=problem, reference=on(problem).run, on=on)
        rule, fix = title.partition(" ")[0], "see its formula: the rule is to say the same as forward and backward"
        return Demand(rule, title, call, fix, TorchFunction(flats[0], like, form), changed)

    moving = [k for k, name in enumerate(inputs) if name in trial.problem.differentiable]
    if kind.jvp is not base.jvp:  # type: ignore[attr-defined]
        rng = np.random.default_rng(0)
        ways = {f"tangent of {n}": rng.normal(size=inputs[n].shape) for n in trial.problem.differentiable}
        flats = [jvp_of(flat, len(inputs), moving, flat is own) for flat in (own, reference)]
        call = "torch.autograd.forward_ad.make_dual(x, tangent)"
        yield demand("jvp in forward mode", flats, inputs | ways, frozenset(inputs | ways), call)
    if kind.vmap is not base.vmap or kind.generate_vmap_rule:  # type: ignore[attr-defined]
        arrays = [k for k, value in enumerate(inputs.values()) if isinstance(value, np.ndarray)]
        for batched, last in ((arrays, False), (arrays, True), *(([k], False) for k in arrays if len(arrays) > 1)):
            axes = [(np.ndim(v) if last else 0) if k in batched else None for k, v in enumerate(inputs.values())]
            given = {
                n: v if axis is None else np.stack([v, np.flip(v).reshape(v.shape), v], axis)
                for (n, v), axis in zip(inputs.items(), axes)
            }
            flats = [vmap_of(flat, axes, flat is own) for flat in (own, reference)]
            call = f"torch.vmap(f, in_dims={tuple(axes)})"
            yield demand(f"vmap with in_dims={tuple(axes)}", flats, given, trial.problem.fixed, call)


def _hidden_leaves(function: TorchFunction, trial: Trial) -> Iterator[Breach]:
    """Yield tensors that are no argument, such as those of a closure, and get a gradient from the reference only."""
    ours, theirs = _other_leaves(function, trial)
    for leaf in theirs:
        if not any(leaf is one for one in ours):
            yield Breach(
                "hidden leaf", f"the gradient of a tensor of shape {tuple(leaf.shape)} that is no argument is lost",
                f"{_output(trial)}.backward(…) leaves its .grad as it was", "pass it to apply as an argument",
            )  # fmt: skip


def _other_leaves(function: TorchFunction, trial: Trial) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return the tensors that are no argument and require a gradient, of the function and of its reference."""
    with torch.enable_grad():
        given, returned = function.applied(trial.problem)
        arguments = {id(leaf) for leaf in given.values()}
        ours = [leaf for leaf in leaves(returned.values()) if id(leaf) not in arguments]
        return ours, trial.on(trial.problem).other_leaves() if trial.on else []


def not_compared(function: TorchFunction, trial: Trial, *functions: Any) -> list[str]:
    """Return in words the tensors that require a gradient and were not compared, since they are no arguments."""
    try:
        ours, theirs = _other_leaves(function, trial)
    except Exception:  # the report says it
        return []
    found = {id(leaf): leaf for leaf in (*ours, *theirs)}
    names: dict[int, str] = {}
    for one in functions:
        with suppress(TypeError):  # it is no function in Python
            around = inspect.getclosurevars(inspect.unwrap(one))
            for name, value in {**around.globals, **around.nonlocals}.items():
                inside = value.named_parameters(name) if isinstance(value, torch.nn.Module) else [(name, value)]
                names |= {id(leaf): label for label, leaf in inside}
    shown = [names.get(key, f"a tensor of shape {tuple(leaf.shape)}") for key, leaf in found.items()]
    remedy = "pass it as an argument, or the module itself in the place of the function"
    return [f"Requires a gradient, and was not compared: {', '.join(shown)}; {remedy}"] if shown else []


def _written(function: TorchFunction, trial: Trial) -> Breach | None:
    """Return the incoming gradients that the backward pass writes to, which autograd may need elsewhere."""
    names = [name for name in function.solve(trial.problem, None).changed if name.startswith("d_")]
    title = f"the incoming gradient {', '.join(names)} is written to"
    call = f"torch.autograd.grad(…, {', '.join(names)}) changes it"
    return Breach("incoming written", title, call, "compute into a new tensor") if names else None


def _custom_operator(function: TorchFunction, trial: Trial) -> Iterator[Breach]:
    """Yield what ``torch.library.opcheck`` finds in a custom operator."""
    operator = getattr(function.function, "_opoverload", function.function)
    if not isinstance(operator, torch._ops.OpOverload | torch._ops.OpOverloadPacket):
        return
    values, keywords, _ = function.form.arguments([*function.arguments(trial.problem)[1].values()])
    results = torch.library.opcheck(operator, tuple(values), keywords, raise_exception=False)
    for test, result in results.items():
        if result != "SUCCESS":
            yield Breach(
                "custom operator", f"opcheck's {test} fails: {str(result).strip().partition(chr(10))[0]}",
                f"torch.library.opcheck(op, args, test_utils={test!r})", "see torch.library.opcheck",
            )  # fmt: skip


def _output(trial: Trial) -> str:
    return next(iter(trial.problem.d_outputs))


def transposed(value: torch.Tensor) -> torch.Tensor:
    """Lay a tensor out with its last two axes exchanged in memory."""
    return value.mT.contiguous().mT if value.ndim > 1 else stepped(value)


def stepped(value: torch.Tensor) -> torch.Tensor:
    """Lay a tensor out as every second element of a longer one, from the second on."""
    if not value.ndim:
        return value.clone()
    longer = value.new_zeros((*value.shape[:-1], 2 * value.shape[-1]))
    return longer[..., 1::2].copy_(value)


def expanded(value: torch.Tensor) -> torch.Tensor:
    """Lay a tensor out as its first row, expanded, or as its first element where all are the same."""
    if value.numel() and bool((value == value.flatten()[0]).all()):
        return value.flatten()[0].clone().expand(value.shape)
    return value[:1].clone().expand(value.shape) if value.ndim and len(value) else value.clone()
