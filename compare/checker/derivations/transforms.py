"""What follows from a function: its backward pass, its jvp and its vmap, as functions of tensors of their own."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.function import BackwardCFunction

#: A function of leaves, and its outputs by name.
Flat = Callable[..., dict[str, Tensor]]


def backward_of(flat: Flat, names: Sequence[str], wanted: Sequence[str], outputs: Sequence[str]) -> Flat:
    """Return the backward pass of a function of its arguments and incoming gradients, with the gradients ``wanted``."""

    def backward(*given: Any) -> dict[str, Tensor]:
        leaves = dict(zip(names, given))
        returned = [*flat(*leaves.values()).values()]
        pairs = [pair for pair in zip(returned, given[len(names) :]) if pair[0].requires_grad]
        of = [leaves[name] for name in wanted]
        results, incoming = zip(*pairs)
        found = torch.autograd.grad(results, of, incoming, allow_unused=True, create_graph=True)
        return {f"d_{n}": torch.zeros_like(x) if d is None else d for n, x, d in zip(wanted, of, found)}

    return backward


def refused(backward: Flat, given: Sequence[Any]) -> str:
    """Return in words why a backward pass has no derivative; "" if it claims one."""
    try:
        found = backward(*given).values()
    except RuntimeError as error:
        return str(error).partition("\n")[0]
    once = any(node.name().endswith("::Error") for node in nodes(found))
    return "its backward pass is once_differentiable" if once else ""


def jvp_of(flat: Flat, count: int, moving: Sequence[int], own: bool) -> Flat:
    """Return a function of arguments and tangents that returns the tangents of the outputs.

    Those at the places ``moving`` have one. They come by the function's ``own`` rule, or from two backward passes.
    """

    def forward(*given: Any) -> dict[str, Tensor]:
        leaves = list(given[:count])
        if own:
            make: Callable[..., Any] = forward_ad.make_dual
            unpack: Callable[..., Any] = forward_ad.unpack_dual
            with forward_ad.dual_level():
                for k, tangent in zip(moving, given[count:]):
                    leaves[k] = make(leaves[k], tangent)
                pairs = {name: unpack(value) for name, value in flat(*leaves).items()}
                return {
                    f"jvp of {name}": torch.zeros_like(pair.primal) if pair.tangent is None else pair.tangent.clone()
                    for name, pair in pairs.items()
                }
        names: list[str] = []

        def outputs(*moved: Tensor) -> tuple[Tensor, ...]:
            returned = flat(*(dict(enumerate(leaves)) | dict(zip(moving, moved))).values())
            names[:] = returned
            if any(node.name() == "_BridgeBackward" for node in nodes(returned.values())):
                raise ValueError("its gradients cannot be differentiated")
            return tuple(returned.values())

        jvp: Callable[..., Any] = torch.autograd.functional.jvp
        _, tangents = jvp(outputs, tuple(leaves[k] for k in moving), tuple(given[count:]))
        return {f"jvp of {name}": tangent for name, tangent in zip(names, tangents)}

    return forward


def vmap_of(flat: Flat, axes: Sequence[int | None], own: bool) -> Flat:
    """Return a function of batches of arguments.

    ``axes`` are those of the batch, None where there is none. It runs by the function's ``own`` rule, or one by one.
    """

    def batched(*given: Any) -> dict[str, Tensor]:
        if own:
            return torch.vmap(flat, in_dims=tuple(axes))(*given)
        size = next(v.shape[axis] for v, axis in zip(given, axes) if axis is not None)
        each = [flat(*(v if axis is None else v.select(axis, n) for v, axis in zip(given, axes))) for n in range(size)]
        return {name: torch.stack([one[name] for one in each]) for name in each[0]}

    return batched


def constants(returned: Iterable[Tensor], arguments: Iterable[Any]) -> list[str]:
    """Return where Functions keep tensors that are constants to autograd, since forward computed them, in words."""
    known = {v.data_ptr() for v in arguments if isinstance(v, Tensor)}
    found = []
    for node in nodes(returned):
        if not isinstance(node, BackwardCFunction):
            continue
        kept: dict[Any, Any] = {f"ctx.{name}": value for name, value in vars(node).items()}
        with suppress(RuntimeError):  # they are freed
            kept |= dict(enumerate(node.saved_tensors))
        for key, value in kept.items():
            constant = isinstance(value, Tensor) and value.is_floating_point() and not value.requires_grad
            if constant and value.data_ptr() not in known:
                found += _kept(node._forward_cls, key)  # type: ignore[attr-defined]
    return [
        f"{place}, which forward computed, is a constant to autograd in backward: compute it there" for place in found
    ]


def nodes(returned: Iterable[Any]) -> Iterator[Any]:
    """Yield the nodes in the graph of some tensors."""
    seen: set[Any] = set()
    open_ones: list[Any] = [value.grad_fn for value in returned if isinstance(value, Tensor)]
    while open_ones:
        node = open_ones.pop()
        if node is not None and node not in seen:
            seen.add(node)
            open_ones += [before for before, _ in node.next_functions]
            yield node


def _kept(function: Any, key: Any) -> list[str]:
    """Return the name and the line of a tensor that a Function keeps: an attribute, or one by number."""
    for method in (function.forward, function.setup_context):
        try:
            lines, first = inspect.getsourcelines(method)
            tree = ast.parse(textwrap.dedent("".join(lines)))
        except Exception:  # there is no source, or other text in its place
            return [f"{function.__name__}: {key if isinstance(key, str) else f'saved tensor {key}'}"]
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Attribute(attr="save_for_backward"), args=kept) if key in range(len(kept)):
                    name = ast.unparse(kept[key])
                case ast.Attribute(ctx=ast.Store()) if ast.unparse(node) == key:
                    name = key
                case _:
                    continue
            return [f"{inspect.getsourcefile(method)}:{first + node.lineno - 1}: {name}"]
    return []
