"""Arguments and results as leaves with names: lists, dicts, keyword arguments, a module's parameters."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree


@dataclass(frozen=True)
class Form:
    """Where each leaf lies in the arguments of a function.

    ``names`` are those of the leaves, such as ``x`` and ``p['W']``; a module's parameters have their own. ``spec``
    rebuilds the arguments, the keyword arguments and the parameters. ``complex_names`` are the leaves of complex
    numbers, and ``module`` is the one whose parameters are arguments.
    """

    names: tuple[str, ...]
    spec: Any
    complex_names: frozenset[str] = frozenset()
    module: nn.Module | None = None

    def arguments(self, leaves: Sequence[Any]) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
        """Return the arguments by position, those by keyword, and the parameters, with these leaves."""
        values, keywords, parameters = self.spec.unflatten(list(leaves))
        return values, keywords, parameters

    def apply(self, function: Any, leaves: Sequence[Any], **options: Any) -> Any:
        """Call a function with leaves; the module's parameters are those among them while it runs.

        Another module has the parameters and the buffers of the first by name, if that is a module, and else its own.
        """
        values, keywords, parameters = self.arguments(leaves)
        owner = function if isinstance(function, nn.Module) else self.module
        if owner is None:
            return function(*values, **keywords, **options)
        dtype, of = torch.get_default_dtype(), self.module or owner
        held = {n: v.to(dtype) for n, v in of.named_parameters()} if self.module is None else parameters
        buffers = {n: b.to(dtype if b.is_floating_point() else b.dtype, copy=True) for n, b in of.named_buffers()}
        known = {n for n, _ in (*owner.named_parameters(), *owner.named_buffers())}
        state = {f"module.{n}": v for n, v in (held | buffers).items() if n in known}
        return torch.func.functional_call(_Within(owner, function), state, tuple(values), keywords | options)

    def flat(self, function: Any) -> Callable[..., Any]:
        """Return the function of leaves, with complex numbers as their real and imaginary parts, on a last axis."""

        @wraps(function.forward if isinstance(function, nn.Module) else function)
        def call(*leaves: Any, **options: Any) -> dict[str, Any]:
            given = [as_complex(v) if n in self.complex_names else v for n, v in zip(self.names, leaves)]
            return {n: as_real(value) for n, value in named(self.apply(function, given, **options)).items()}

        return call


class _Within(nn.Module):
    """Calls a function that uses a module, which may be that module."""

    def __init__(self, module: nn.Module, function: Callable[..., Any]):
        super().__init__()
        self.module, self.call = module, (function,)

    def forward(self, *arguments: Any, **keywords: Any) -> Any:
        """Call the function."""
        return self.call[0](*arguments, **keywords)


def form_of(
    names: Sequence[str],
    values: Sequence[Any],
    keywords: Mapping[str, Any],
    parameters: Mapping[str, Any],
    is_array: Callable[[Any], bool],
    library: Any = _pytree,
) -> tuple[Form, list[Any]]:
    """Return the form of arguments, and their leaves. What holds neither an array nor a function is one leaf.

    ``is_array`` says whether a leaf is an array; ``library`` flattens and rebuilds containers, torch's or JAX's.
    """
    tree = (list(values), dict(keywords), dict(parameters))

    def opaque(value: Any) -> bool:
        if any(value is part for part in (tree, *tree)):
            return False
        return not any(is_array(leaf) or callable(leaf) for leaf in library.tree_leaves(value))

    paths, spec = library.tree_flatten_with_path(tree, opaque)
    leaves: dict[str, Any] = {}
    for (part, first, *rest), leaf in paths:
        name = (names[first.idx] if part.idx == 0 else first.key) + library.keystr(tuple(rest))
        leaves[f"self.{name}" if name in leaves else name] = leaf
    return Form(tuple(leaves), spec), list(leaves.values())


def argument_names(count: int, *functions: Any) -> list[str]:
    """Return the names of the first arguments, as the first of some functions that tells them has them."""
    known = (names[:count] for names in map(_signature, functions) if len(names) >= count)
    return next(known, [f"input {n}" for n in range(count)])


def _signature(function: Any) -> list[str]:
    """Return the names of a function's arguments; for a ``Function``, those of its forward without ``ctx``."""
    is_class = isinstance(function, type) and issubclass(function, torch.autograd.Function)
    operator = getattr(function, "_opoverload", None) or getattr(function, "default", function)
    if isinstance(operator, torch._ops.OpOverload):  # its signature in Python has no names
        return [argument.name for argument in operator._schema.arguments]
    try:
        signature = inspect.signature(function.forward if is_class or isinstance(function, nn.Module) else function)
    except (TypeError, ValueError):
        return []
    names = [n for n, p in signature.parameters.items() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return names[1:] if is_class and function.setup_context is torch.autograd.Function.setup_context else names


def named(returned: Any, library: Any = _pytree) -> dict[str, Any]:
    """Return what a function returned by name: the keys of a dict, numbers of a list, ``output`` if it is one value."""
    paths, _ = library.tree_flatten_with_path(returned)
    found = {}
    for path, leaf in paths:
        first = next(iter(path), None)
        name = next((str(getattr(first, part)) for part in ("key", "name") if hasattr(first, part)), "")
        if not name:
            name = "output" if len(paths) == 1 else f"output {first.idx}"  # type: ignore[union-attr]
        found[name + library.keystr(tuple(path[1:]))] = leaf
    return found


def in_order(names: Sequence[str], returned: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a function returned by the reference's names, by key or by place; a ValueError if others."""
    unnamed = all(name.startswith("output") for name in returned)
    if not (set(returned) == set(names) or (unnamed and len(returned) == len(names))):
        got = ", ".join(type(v).__name__ if unnamed else n for n, v in returned.items())
        raise ValueError(f"function: expected {', '.join(names)}, got {got}")
    return {n: returned[n] for n in names} if set(returned) == set(names) else dict(zip(names, returned.values()))


def as_real(value: Any) -> Any:
    """Return a tensor of complex numbers as one of real and imaginary parts; anything else as it is."""
    is_complex = isinstance(value, torch.Tensor) and value.is_complex()
    return torch.view_as_real(value.resolve_conj()) if is_complex else value


def as_complex(value: torch.Tensor) -> torch.Tensor:
    """Return a tensor of real and imaginary parts as one of complex numbers."""
    return torch.view_as_complex(value.contiguous())
