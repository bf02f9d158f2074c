"""Who watches the reference, the values and the arguments."""

import sys
from collections import Counter

import numpy as np
import pytest
import torch

from compare import check_backward, check_function, probe

X = np.random.default_rng(2).normal(size=(4, 3))


def square(x):
    return x * x, x


def square_backward(x, d_y):
    return 2 * x * d_y


def test_a_reference_whose_gradient_is_not_the_derivative_of_its_output_is_told():
    def rounded(x):
        return x + (torch.round(x) - x).detach()

    report = check_backward(lambda x: (np.round(x), None), lambda tape, d_y: d_y, rounded, {"x": X})
    assert report.agrees
    assert "The reference's gradient is not the derivative of its output" in str(report)
    assert "not the derivative" not in str(check_backward(square, square_backward, torch.square, {"x": X}))
    kink = check_backward(lambda x: (np.abs(x), x), lambda x, d: d * np.sign(x), torch.abs, {"x": np.round(X)})
    assert kink.agrees and "not the derivative" not in str(kink)


def test_a_gradient_of_ctc_loss_is_no_derivative_either():
    lengths = torch.tensor([5, 5]), torch.tensor([2, 2])
    logp = torch.log_softmax(torch.randn(5, 2, 4, dtype=torch.float64), 2)
    targets = torch.tensor([[1, 2], [3, 1]])

    def loss(logp):
        return torch.nn.functional.ctc_loss(logp, targets, *lengths, reduction="sum")

    assert "not the derivative of its output" in str(check_function(loss, loss, logp))


@pytest.mark.parametrize("factor", [1, 2])
def test_an_input_and_a_parameter_may_share_a_name(factor):
    def forward(p, w, k):
        return p["w"] * w + p["k"][k], (w, k)

    def backward(p, tape, d_y):
        w, k = tape
        d_k = np.zeros_like(p["k"])
        d_k[k] += d_y.sum()
        return d_y * p["w"], None, {"w": factor * d_y * w, "k": d_k}

    def reference(p, w, k):
        return p["w"] * w + p["k"][k]

    parameters = {"w": X[0], "k": X[1]}
    report = check_backward(forward, backward, reference, {"w": X[2], "k": 2}, parameters=parameters)
    assert report.agrees is (factor == 1)
    assert report.titles == ["w"] * (factor == 2)
    assert "not the derivative" not in str(report)


def test_a_plain_number_among_the_inputs_is_said_to_be_left_out():
    report = check_backward(
        lambda x, b: (b * x * x, (x, b)),
        lambda tape, d: (2 * tape[1] * tape[0] * d, 7 * (tape[0] ** 2 * d).sum()),
        lambda x, b: b * x * x,
        {"x": (3,), "b": 0.7},
    )
    assert report.left_out == ("d_b",)


def test_a_plain_number_is_a_parameter_like_any_other():
    def check(times):
        return check_backward(
            lambda p, x: (p["b"] * x, (p["b"], x)),
            lambda p, tape, d: (tape[0] * d, {"b": times * (tape[1] * d).sum()}),
            lambda p, x: p["b"] * x,
            {"x": (3,)},
            parameters={"b": 0.7},
        )

    assert check(1).agrees, str(check(1))
    assert [fault.name for fault in check(7).faults] == ["b"]


def test_a_mistake_that_only_other_values_show_is_found():
    def gather_backward(tape, d_y):
        table, rows = tape
        d_table = np.zeros_like(table)
        d_table[rows] += d_y  # loses all but one where an index occurs twice
        return d_table

    def check(function, backward, reference, **inputs):
        return check_backward(function, backward, reference, inputs)

    once = check(
        lambda table, rows: (table[rows], (table, rows)), gather_backward, lambda table, rows: table[rows],
        table=X, rows=np.array([0, 3, 2]),
    )  # fmt: skip
    assert once.outcome == "disagree"
    assert [size.agrees for size in once.sizes][:2] == [True, False]


def test_what_is_wrong_only_where_values_are_equal_or_zero_is_found():
    def check(forward, backward, reference):
        report = check_backward(forward, backward, reference, {"x": (5, 4)})
        assert [size.agrees for size in report.sizes][:3] == [True] * 3, str(report)
        return report

    def largest(x):
        return x.max(1), x == x.max(1, keepdims=True)

    five = check(lambda x: (np.where(x == 0, 5.0, np.abs(x)), x), lambda x, d: d * np.sign(x), torch.abs)
    assert [fault.name for fault in five.faults] == ["output"]
    assert check(largest, lambda at, d: d[:, None] * at, lambda x: x.amax(1)).outcome == "disagree"
    for reference in (lambda x: x.amax(1), lambda x: x.max(1).values):
        assert check(largest, lambda at, d: d[:, None] * at / at.sum(1, keepdims=True), reference).agrees


def test_inputs_of_a_size_are_checked_at_one_and_past_a_power_of_two():
    def backward(x, d_y):
        return 2 * x * d_y * (np.arange(len(x)) < 32)[:, None]

    report = check_backward(square, backward, torch.square, lambda rng, n: {"x": rng.normal(size=(n, 3))})
    assert [size.agrees for size in report.sizes][:4] == [True, True, True, False]
    assert check_backward(square, square_backward, torch.square, lambda rng, n: {"x": rng.normal(size=(n, 3))}).agrees


@pytest.mark.slow
def test_a_function_is_checked_with_further_lists_of_arguments():
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, times):
            ctx.save_for_backward(x)
            ctx.times = times
            return times * x * x

        @staticmethod
        def backward(ctx, d_y):
            (x,) = ctx.saved_tensors
            return 2 * ctx.times * x * d_y * (torch.arange(len(x)) < 32)[:, None], None

    def check(*more):
        x = torch.from_numpy(X).T  # strides that fit no other size
        return check_function(Square, lambda x, times: times * x * x, x, 2, more=more)

    assert check([torch.randn(5, 2, dtype=torch.float64), 3]).agrees
    past = check([torch.randn(33, 3, dtype=torch.float64), 3])
    assert [size.agrees for size in past.sizes][:2] == [True, False]
    with pytest.raises(ValueError, match="more: expected lists of 2 arguments like the first, got 1"):
        check([torch.from_numpy(X)])


def test_both_sides_make_new_tensors_in_the_same_dtype():
    def function(x, mask):
        return x * (mask / 0.6)

    x, mask = torch.from_numpy(X), torch.from_numpy(X > 0)
    assert check_function(function, function, x, mask).agrees


def test_code_and_reference_run_as_often_as_the_guide_says():
    def counts(**options):
        runs = Counter()

        def forward(x):
            runs["code"] += 1
            return probe("y", np.tanh(x)), x

        def reference(x):
            runs["reference"] += 1
            return probe("y", torch.tanh(x))

        report = check_backward(forward, lambda x, d: d * (1 - np.tanh(x) ** 2), reference, {"x": (4, 3)}, **options)
        assert report.agrees
        assert ("Only the first size and draw is checked" in str(report)) == options.get("fast", False)
        return len(report.sizes), runs["code"], runs["reference"]

    assert counts() == (4, 6, 7)
    assert counts(fast=True) == (1, 3, 4)
    assert counts(dtype="float64") == (4, 6, 7)


def test_what_is_large_is_run_once_and_other_values_are_tried_on_its_first_rows_unless_it_takes_all_rows_only():
    def check(backward, rows=-1):
        seen = Counter()

        def forward(x):
            seen[len(x)] += 1
            return np.tanh(x.reshape(rows, 100)), x

        return check_backward(forward, backward, torch.tanh, {"x": (700, 100)}), seen

    def backward(x, d):
        return d * (1 - np.tanh(x) ** 2)

    report, seen = check(backward)
    assert report.agrees and seen == {700: 1, 163: 4}, seen
    report, seen = check(backward, 700)
    assert report.agrees and {size.label.partition(", ")[0] for size in report.sizes} == {"x (700"}
    assert seen == {700: 5, 163: 4}, seen
    report, _ = check(lambda x, d: np.where(x == 0, 0, backward(x, d)))
    assert [size.label for size in report.sizes if not size.agrees] == ["x (700, 100), ties and zeros"]


def test_gradients_that_the_file_has_disabled_are_computed_all_the_same():
    torch.set_grad_enabled(False)
    try:
        assert check_backward(square, square_backward, torch.square, {"x": X}).agrees
        assert not check_backward(square, lambda x, d: 0 * d, torch.square, {"x": X}).agrees
        assert check_function(torch.square, torch.square, torch.from_numpy(X)).agrees
    finally:
        torch.set_grad_enabled(True)


def test_a_derivation_that_is_wrong_in_its_first_call_only_does_not_agree():
    calls = []

    def backward(x, d_y):
        calls.append(1)
        return (2 if len(calls) > 1 else 3) * x * d_y

    report = check_backward(square, backward, torch.square, {"x": (4, 3)})
    assert report.unsteady == ["d_x"]


@pytest.mark.slow
def test_a_buffer_on_the_tape_that_is_updated_in_place_blames_no_line():
    """On right values, fed back as copies, each line is right."""

    def forward(x):
        c, tape = np.full(3, 0.5), []
        for t in range(len(x)):
            c *= x[t]
            tape.append((x[t], probe("c", c, t)))
        return c.copy(), tape

    def backward(tape, d_c):
        d_x = []
        for t in reversed(range(len(tape))):
            x_t, c = tape[t]
            d_c = probe("d_c", d_c, t)
            d_x.append(d_c * c / x_t)
            d_c = d_c * x_t
        return np.stack(d_x[::-1])

    def reference(x):
        c = torch.full((3,), 0.5)
        for x_t in x:
            c = probe("c", c * x_t)
        return c

    report = check_backward(forward, backward, reference, {"x": (4, 3)})
    assert report.outcome == "disagree"
    assert report.kinds[0] == "changed" or not report.faults


def test_a_debugger_that_follows_the_lines_is_left_alone():
    def check():
        return check_backward(square, square_backward, torch.square, {"x": X})

    seen = []
    sys.settrace(lambda *event: seen.append(event))
    try:
        report, tracer = check(), sys.gettrace()
    finally:
        sys.settrace(None)
    assert tracer and seen and report.agrees
    assert check().agrees and sys.gettrace() is None
