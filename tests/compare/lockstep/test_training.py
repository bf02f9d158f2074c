from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from tiers import first, first_of_each

import manual
import torch_impl
from compare.binary_addition import Sums, all_sums
from compare.lockstep.adding import Adding
from compare.lockstep.settings import Settings
from compare.lockstep.trainers import TorchTrainer
from compare.lockstep.training import Interruption, check_equations, train
from compare.published.recipes import RECIPES
from manual.engines import ENGINES

SMALL = Settings(hidden_size=3, bits=4, steps=3, batch_size=6)


def outcome(settings: Settings) -> list[bytes]:
    run = train(Adding(settings))
    losses = [(step.loss_manual, step.loss_autograd, step.drift) for step in run.lockstep.steps]
    return [np.array(losses).tobytes()] + [array.tobytes() for array in run.lockstep.manual.parameters.values()]


@pytest.mark.parametrize(
    "name, least", [("hidden_size", 1), ("layers", 1), ("bits", 2), ("steps", 1), ("batch_size", 1), ("seed", 0)]
)
def test_a_setting_below_its_range_is_named_with_what_came(name, least):
    with pytest.raises(ValueError, match=f"^{name}: expected at least {least}, got {least - 1}$"):
        Settings(**{name: least - 1})
    assert getattr(Settings(**{name: least}), name) == least


@pytest.mark.parametrize("name", ["cell", "optimizer", "loss", "dtype", "against", "device", "engine"])
def test_a_setting_that_is_another_word_is_named(name):
    with pytest.raises(ValueError, match=f"^{name}: expected one of .*, got 'other'$"):
        Settings(**{name: "other"})


def test_more_weights_than_memory_holds_are_refused():
    with pytest.raises(ValueError, match=r"^hidden_size, layers: expected at most 100,000,000 weights, got about 8,"):
        Settings(hidden_size=4096, layers=64)
    assert Settings(hidden_size=4096).hidden_size == 4096


def test_settings_that_the_optimiser_or_the_machine_cannot_do_are_named(monkeypatch):
    with pytest.raises(ValueError, match=r"^nesterov: expected a momentum above 0, got 0\.0$"):
        Settings(optimizer="sgd", nesterov=True)
    monkeypatch.setattr("manual.engines.find_spec", lambda name: None)
    for configure in (Settings, partial(replace, RECIPES["matlab-rnn"])):
        with pytest.raises(ValueError, match=r"^engine: 'compiled' is not installed here"):
            configure(engine="compiled")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("change", [{}, {"loss": "mse"}, {"hidden_size": 1, "bits": 2, "steps": 1, "batch_size": 1}])
@pytest.mark.slow
def test_both_losses_agree_in_both_precisions_which_are_really_worked_in(dtype, change):
    lockstep = train(Adding(replace(SMALL, dtype=dtype, **change))).lockstep
    assert lockstep.agrees
    assert lockstep.tolerance == {"float64": 1e-12, "float32": 1e-5}[dtype]
    for side in (lockstep.manual, lockstep.autograd):
        assert {str(array.dtype) for array in side.parameters.values()} == {dtype}
    error = lockstep.worst_of("gradient")
    assert error < 1e-14 if dtype == "float64" else error > 1e-9


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "sgd", "momentum": 0.0, "nesterov": False},
        {"optimizer": "sgd", "momentum": 0.8, "nesterov": False},
        {"optimizer": "sgd", "momentum": 0.8, "nesterov": True},
        {"optimizer": "adam"},
    ],
)
def test_the_optimiser_is_set_up_as_the_settings_say_on_every_side(options):
    lockstep = Adding(replace(SMALL, learning_rate=0.7, weight_decay=0.01, **options)).set_up()
    kind, *names = options
    name = "SGD" if options[kind] == "sgd" else "Adam"
    expected = {"lr": 0.7, "weight_decay": 0.01} | {name: options[name] for name in names}
    ours = lockstep.manual.optimizer
    assert isinstance(ours, getattr(manual, name)) and {n: getattr(ours, n) for n in expected} == expected
    for side in (*lockstep.opponents.values(), lockstep.autograd):
        assert isinstance(side.optimizer, getattr(torch.optim, name))
        (group,) = side.optimizer.param_groups
        assert {n: group[n] for n in expected} == expected


@pytest.mark.exhaustive
def test_equations_that_raise_are_a_failure_that_names_them_and_nothing_is_checked(monkeypatch):
    def check_layer(*arguments, **options):
        raise FloatingPointError("overflow")

    monkeypatch.setattr("compare.lockstep.training.check_layer", check_layer)
    lockstep = Adding(Settings(cell="gru", hidden_size=3)).set_up()
    checked = check_equations(lockstep, None, 0)
    assert (checked.subject, checked.tolerance, checked.as_run) == ("", lockstep.tolerance, [])
    (failure,) = lockstep.failures
    assert "each equation" in failure and "FloatingPointError: overflow" in failure


def test_an_interrupted_run_has_its_steps_and_nothing_more():
    def stop(step):
        raise Interruption

    run = train(Adding(SMALL), stop)
    assert run.interrupted and not run.agrees
    assert run.settings is SMALL and len(run.lockstep.steps) == 1
    assert (run.checked.as_run, run.correct_sums, run.examples) == ([], [], None)


def test_the_engine_runs_the_layer_and_adam(monkeypatch):
    engines = []
    monkeypatch.setattr("manual.engines.find_spec", lambda name: True)  # not all have Numba
    for name in ("LSTM", "Adam"):
        kind = getattr(manual, name)

        def with_numpy(*arguments, kind=kind, engine, **options):
            engines.append(engine)
            return kind(*arguments, **options)

        monkeypatch.setattr(manual, name, with_numpy)
    Adding(Settings(engine="compiled", hidden_size=3)).set_up()
    assert engines == ["compiled", "compiled"]


def test_the_opponents_are_the_written_out_layer_and_torchs_own(run):
    layers = {name: type(opponent.module.recurrent) for name, opponent in run.lockstep.opponents.items()}
    assert layers == {"autograd": torch_impl.LSTM, "nn.LSTM": torch.nn.LSTM}
    assert type(run.lockstep.autograd.module.recurrent) is torch_impl.LSTM


@pytest.mark.slow
def test_no_two_sides_share_an_array_and_each_step_is_reported_once_and_in_order():
    reported = []
    lockstep = train(Adding(SMALL), reported.append).lockstep
    assert reported == lockstep.steps and len(reported) == 3
    sides = [lockstep.manual, *lockstep.opponents.values(), lockstep.autograd]
    places = [array.ctypes.data for side in sides for array in side.parameters.values()]
    assert len(set(places)) == len(places) == 4 * 6


@pytest.mark.exhaustive
def test_the_other_batches_depend_on_the_seed_alone(monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "compare.lockstep.adding.compare_other_batches",
        lambda lockstep, side, bits, rng: drawn.append((bits, rng.integers(1 << 60))),
    )
    for seed in (0, 0, 1):
        train(Adding(replace(SMALL, seed=seed)))
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bits_whatever_the_state_of_torchs_own_generator():
    first = outcome(SMALL)
    torch.manual_seed(99)
    assert outcome(SMALL) == first
    assert not set(outcome(replace(SMALL, seed=1))) & set(first)


def test_sums_of_64_and_1024_bits_are_evaluated_after_the_trained_length(run):
    assert [(sums.bits, sums.count) for sums in run.correct_sums] == [(5, 256), (64, 1007), (1024, 107)]


@pytest.mark.exhaustive
@pytest.mark.parametrize("bits, count", [(8, 16_384), (9, 16_384 + 7)])
def test_of_the_trained_length_all_short_sums_are_evaluated_and_many_long_ones(bits, count):
    trained = train(Adding(replace(SMALL, bits=bits))).correct_sums[0]
    assert (trained.bits, trained.count) == (bits, count)


@pytest.mark.slow
def test_each_side_is_credited_with_its_own_answers(monkeypatch):
    def right(self, x):
        a, b = x.astype(int).transpose(2, 0, 1)
        return Sums.adding(a, b).targets("float64") - 0.5

    monkeypatch.setattr(TorchTrainer, "logits", right)
    for sums in train(Adding(SMALL)).correct_sums:
        assert sums.manual < 0.5 and sums.autograd == 1


@pytest.mark.slow
def test_a_run_that_learns_nothing_is_dead():
    assert len(train(Adding(replace(SMALL, learning_rate=0.0))).lockstep.failures) == 2


def test_accuracies_and_examples_are_those_of_the_finished_models(run):
    sums, lockstep = all_sums(5), run.lockstep
    x = sums.inputs("float64")
    assert run.correct_sums[0].manual == sums.share_correct(lockstep.manual.logits(x))
    assert run.correct_sums[0].autograd == sums.share_correct(lockstep.autograd.logits(x))
    sums, logits = run.examples
    assert sums.total.shape == (5, 3)
    np.testing.assert_array_equal(logits, lockstep.manual.logits(sums.inputs("float64")))
    assert run.gates == ("i", "f", "g", "o")


@pytest.mark.exhaustive
@pytest.mark.parametrize("cell", first_of_each(lambda cell: "", ["lstm", "gru", "rnn"]))
def test_every_cell_agrees_and_learns_to_add(cell):
    run = train(Adding(Settings(cell=cell, bits=5, steps=150, batch_size=32)))
    assert run.agrees
    assert run.correct_sums[0].manual > 0.95
    assert run.correct_sums[0].autograd > 0.95


@pytest.mark.slow
@pytest.mark.parametrize("cell", first(1, ["lstm", "gru", "rnn"]))
def test_every_cell_agrees_in_two_layers_both_ways(cell):
    assert train(Adding(replace(SMALL, cell=cell, steps=12, layers=2, bidirectional=True))).agrees


@pytest.mark.slow
def test_compiled_loops_train_as_numpy_does():
    pytest.importorskip("numba", reason="the extra `compiled` is not installed")
    runs = [train(Adding(replace(SMALL, engine=engine))) for engine in ENGINES]
    assert all(run.agrees for run in runs)
    numpy_losses, compiled_losses = ([step.loss_manual for step in run.lockstep.steps] for run in runs)
    assert compiled_losses == pytest.approx(numpy_losses, rel=1e-12)
