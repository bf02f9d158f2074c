"""Every published system: its source, its layout of weights, its backward pass and its departures.

A system's backward pass is given d_output, the gradient of the loss with respect to each h. Losses and readouts are
right in every write-up; the recipes in ``recipes.py`` have them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

import torch_impl
from compare.cells import CELLS, Form
from compare.cells.layout import LaidOut, Layout
from compare.checker.derivations.problem import Answer, Arrays, Problem
from compare.checker.diagnose import Subject, diagnose
from compare.checker.reference import Autograd, Reference, of_module
from compare.checker.report.report import Report
from compare.checker.trials import Trial
from compare.published import departures as d
from compare.published import programs
from compare.published.departures import Departure
from compare.published.networks import NETWORKS, Backward, Gradients, rnn_backward
from compare.published.recipes import RECIPES, Recipe
from manual.arrays import Probe


@dataclass(frozen=True)
class System:
    """A published system, as a ``Derivation`` in its own layout of weights."""

    name: str  #: what reports call it
    source: str  #: title and author
    recipe: Recipe  #: the same system as it should be
    backward: Backward  #: its backward pass
    departures: tuple[Departure, ...]  #: everything in which it departs from the true gradient
    dormant: tuple[Departure, ...] = ()  #: those of its departures that do no harm as the program runs

    @property
    def form(self) -> Form:
        """The form of the cell."""
        return Form(CELLS[self.recipe.cell], self.recipe.options)

    @property
    def layout(self) -> Layout:
        """That of the weights; a bias declared as one number is the row of H that the published program makes of it."""
        layout = self.recipe.layout
        return replace(layout, biases=1) if layout.biases == "scalar" else layout

    def solve(self, problem: Problem, probe: Probe | None = None) -> Answer:
        """Run the forward pass and the published backward pass. No gradient of the inputs is published."""
        trace = NETWORKS[self.recipe.cell].forward(self.weights(problem), problem.inputs["x"], probe)
        gradients = self.backward(trace, problem.d_outputs["output"], probe)
        return Answer({"output": trace.h}, {}, self.express(gradients))

    def weights(self, problem: Problem) -> Arrays:
        """Return a problem's parameters in the layout of ``networks.py``."""
        arrays = self.layout.parameters(problem.parameters)
        return {"weight_ih": arrays["weight_ih"], "weight_hh": arrays["weight_hh"], "bias": arrays["bias_ih"]}

    def express(self, gradients: Gradients) -> Arrays:
        """Convert gradients from the layout of ``networks.py`` to the system's."""
        weights = {name: array for name, array in gradients.items() if name != "bias"}
        both = {"bias_ih": gradients["bias"], "bias_hh": gradients["bias"]}
        return self.layout.of_gradients(weights | both)

    def problem(self, rng: np.random.Generator, T: int, B: int, D: int, H: int) -> Problem:
        """Draw random weights in the system's layout, a random x and a random d_output."""
        d_output = rng.normal(size=(T, B, H))
        return Problem(self.layout.draw(D, H, rng), {"x": rng.normal(size=(T, B, D))}, {"output": d_output})


def truth(system: System, problem: Problem, **options: Any) -> Reference:
    """Return autograd's gradients and intermediates, under the names and in the layout of the system.

    ``options`` are those of ``Autograd.run``.
    """
    x, d_output = problem.inputs["x"], problem.d_outputs["output"]
    module = system.form.layer(torch_impl, x.shape[2], d_output.shape[2], dtype=torch.float64)

    def call(run: Callable[..., Any], inputs: list[Any], recorder: Any) -> torch.Tensor:
        output, _ = run(*inputs, probe=lambda name, t, value: recorder(name.removesuffix("_l0"), t, value))
        return output

    weights = system.weights(problem)
    biases = {"bias_ih_l0": weights.pop("bias"), "bias_hh_l0": np.zeros_like(weights["weight_hh"][:, 0])}
    ours = Problem({f"{name}_l0": array for name, array in weights.items()} | biases, problem.inputs, problem.d_outputs)
    right = Autograd(of_module(module, call), ours).run(**options)
    gradients = {name.removesuffix("_l0"): array for name, array in right.answer.gradients.items()}
    return Reference(right.record, Answer(right.answer.outputs, {}, system.layout.of_gradients(gradients)))


def check_system(system: System, seed: int = 0) -> Report:
    """Let the localiser find what is wrong with a system, on random weights and inputs."""
    T, B, D, H = 6, 3, 4, 5
    problem = system.problem(np.random.default_rng(seed), T, B, D, H)
    trial = Trial(f"T = {T}, B = {B}, D = {D}, H = {H}", problem, partial(truth, system, problem), {"T": T, "B": B})
    notation = LaidOut(system.form.cell, system.form.options, system.layout)
    return diagnose(Subject(system.source, system, lambda dtype: [trial], notation, dtype="float64"))


_CARRIES = (d.nothing_through_h, d.nothing_through_c)
_LAYER = (d.nothing_through_c, d.last_input_only, d.last_error_only)

#: The systems that have a backward pass, by name.
SYSTEMS = {
    system.name: system
    for system in (
        System(
            "no-bias LSTM",
            "RNN及LSTM的matlab实现, the LSTM",
            RECIPES["no-bias-lstm"],
            programs.no_bias_lstm,
            (
                *_CARRIES,
                d.tanh_slope_at_c,
                d.slope_of_h,
                d.slope_of_weights_i,
                d.slope_of_weights_f,
                d.slope_of_weights_g,
                d.slope_of_weights_o,
            ),
        ),
        System(
            "scalar-bias LSTM",
            "LSTM简单例子(MATLAB code)",
            RECIPES["scalar-bias-lstm"],
            programs.scalar_bias_lstm,
            (*_CARRIES, d.tanh_slope_at_c, d.row_for_one_number),
        ),
        System(
            "LSTM class",
            "LSTM神经网络 - MATLAB实现",
            RECIPES["lstm-class"],
            programs.lstm_class,
            (d.share_of_f, d.share_of_i, d.share_of_g, d.share_of_o, d.own_share_not_through_c, d.earlier_forget_gate),
            dormant=(d.earlier_forget_gate,),
        ),
        System(
            "LSTM layer, program",
            "零基础入门深度学习(6), hanbingtao, the program",
            RECIPES["lstm-layer"],
            programs.lstm_layer,
            (*_LAYER, d.bias_i_from_f, d.bias_o_from_f),
        ),
        System(
            "LSTM layer, equations",
            "零基础入门深度学习(6), hanbingtao, the equations",
            RECIPES["lstm-layer"],
            programs.equations_of_lstm_layer,
            (*_LAYER, d.square_of_difference),
        ),
        # Both RNNs have the true pass. The MATLAB text shows no helper functions; that its sigmoid' is s (1 - s) of the
        # output s is inferred from the Python program that it translates.
        System("RNN, MATLAB", "RNN及LSTM的matlab实现, the RNN", RECIPES["matlab-rnn"], rnn_backward, ()),
        System(
            "RNN, Python",
            "Anyone Can Learn To Code an LSTM-RNN in Python, Andrew Trask",
            RECIPES["trask-rnn"],
            rnn_backward,
            (),
        ),
    )
}

#: The system whose backward pass is published for a recipe, of the layer its program; the others have none.
PUBLISHED = {system.recipe.name: system for system in reversed(SYSTEMS.values())}
PUBLISHED["lstm-class-one-target"] = SYSTEMS["LSTM class"]
