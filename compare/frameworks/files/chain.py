"""The chain from a model's input to its output, found by following every element on its way.

Each element that the input, a layer or the readout hands out gets a number of its own, a *label*. What a model does
between its layers is run on the labels in the place of the values. So an operator that moves elements need not be
understood: the labels that arrive at the next layer, at the readout or at the output say of each element where it comes
from. What arrives from elsewhere, or in another order than ``manual`` would hand it on, is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from compare.cells.layout import Arrays
from compare.frameworks.files.stage import Labels, Stage, walk
from compare.frameworks.network import Network
from manual.arrays import Array, as_state, state_parts


class Chain:
    """The stages of a model, as they are met; ``source`` is what its errors, ValueErrors all, call the file."""

    def __init__(self, source: str):
        self.source = source
        self.stages: list[Stage] = []
        self.owner = np.empty(0, np.int64)  # of each label, the position of its stage
        self.renamed = np.empty(0, np.int64)  # each label, or what it is called since two directions became one layer

    def error(self, title: str, words: str) -> ValueError:
        """Return an error that says where it is."""
        return ValueError(f"{self.source}: {title}: {words}")

    def input(self, title: str, shape: Sequence[int]) -> Labels:
        """Return the labels of an input of the model."""
        labels = self._label(shape)
        self._add(Stage(title, labels))
        return labels

    def layer(
        self,
        title: str,
        form: str,
        directions: Sequence[Arrays],
        x: Labels,
        initial: Sequence[Labels] = (),
        reverse: bool = False,
    ) -> tuple[Labels, Labels, Labels]:
        """Add a recurrent layer that reads x (T, B, D).

        Return the labels of its outputs, (T, B, directions * H), and those of its final h and c, which are of the form
        of ``initial``, (directions, B, H) each. With ``reverse`` it runs backwards, in one direction.
        """
        source, is_reversed, batch_first = self._read(title, x)
        T, B, _ = x.shape
        K, first = len(directions), directions[0]
        H = len(first["weight_hr"]) if "weight_hr" in first else first["weight_hh"].shape[1]
        for part in initial:
            if part.shape != (K, B, H):
                raise self.error(title, f"expected an initial state of shape {(K, B, H)}, got {part.shape}")
        labels, cells = self._label((T, B, K * H)), self._label((K, B, H))
        if is_reversed and K == 2:
            raise self.error(title, f"expected to read {source.title} forwards, got it reversed in time")
        backwards = reverse != is_reversed
        stage = Stage(title, labels, source, form, tuple(directions), backwards, batch_first, cells, tuple(initial))
        self._add(stage)
        return labels[::-1] if is_reversed else labels, stage.final, cells

    def product(self, title: str, x: Labels, weight: Array) -> Labels:
        """Return the labels of ``x @ weight.T``, the logits (…, O) of a readout, from x (…, F) and weight (O, F)."""
        stage = self._stage(title, x)
        if stage.source is None:
            raise self.error(title, "expected a recurrent layer to read the input, got a product with weights")
        if stage.readout:
            raise self.error(title, f"expected one readout, got another after {stage.title}")
        x = self.renamed[x]
        for read in (stage.labels, np.concatenate(list(stage.final), axis=-1)):  # (T, B, F), or (B, F)
            row_of = {int(row[0]): k for k, row in enumerate(read.reshape(-1, read.shape[-1]))}
            if x.shape[-1] != read.shape[-1]:
                continue
            rows = np.array([row_of.get(int(first), -1) for first in x[..., 0].ravel()])
            if (rows >= 0).all() and np.array_equal(read.reshape(-1, read.shape[-1])[rows].reshape(x.shape), x):
                break
        else:
            raise self.error(
                title, f"expected the outputs of {stage.title}, or its final state, got others of its elements"
            )
        logits = self._label((*read.shape[:-1], len(weight)))
        zeros = np.zeros_like(weight[:, 0])
        self._add(Stage(title, logits, stage, readout={"weight": weight.copy(), "bias": zeros}))
        return logits.reshape(-1, len(weight))[rows].reshape(*x.shape[:-1], len(weight))

    def affine(self, title: str, x: Labels, added: Array, factor: int = 1) -> Labels:
        """Return the labels of ``factor * x + added``, where x are the logits of a readout, and ``added`` its bias."""
        stage = self._stage(title, x)
        if not stage.readout or stage.activation != "linear":
            raise self.error(title, f"expected a sum with the logits of a readout, got one with {stage.title}")
        if np.broadcast_shapes(added.shape, x.shape) != x.shape:
            raise self.error(title, f"expected a bias for logits {x.shape}, got one of shape {added.shape}")
        which = (x - stage.labels.min()) % stage.labels.shape[-1]  # of the O logits
        added = np.broadcast_to(added, x.shape)
        bias = np.zeros_like(stage.readout["bias"])
        bias[which] = added
        if not np.array_equal(bias[which], added, equal_nan=True):
            raise self.error(title, "expected one bias for each logit, got one that differs by step or by row")
        return self._instead(
            x, stage, title, {"weight": factor * stage.readout["weight"], "bias": factor * stage.readout["bias"] + bias}
        )

    def activate(self, title: str, x: Labels, activation: str, axis: int = -1) -> Labels:
        """Return the labels of an activation of a readout."""
        stage = self._stage(title, x)
        if not stage.readout or stage.activation != "linear":
            raise self.error(title, f"expected {activation} of the logits of a readout, got that of {stage.title}")
        O = stage.labels.shape[-1]
        if activation == "softmax":
            rows = np.moveaxis(x, axis, -1) - stage.labels.min()
            if rows.shape[-1] != O or (rows // O != rows[..., :1] // O).any():
                raise self.error(title, "expected a softmax over the logits of one step and row, got one over others")
        return self._instead(x, stage, title, stage.readout, activation)

    def owners(self, labels: Labels) -> list[Stage]:
        """Return the stages whose elements these are."""
        return [self.stages[k] for k in np.unique(self.owner[self.renamed[labels]])]

    def follows(self, x: Labels) -> bool:
        """Return whether a recurrent layer can read x (T, B, F)."""
        try:
            return bool(self._read("", x))
        except ValueError:
            return False

    def finish(self, outputs: Mapping[str, Labels]) -> Network:
        """Return the network that ends in these outputs of the model."""
        found = {name: self._end(f"output {name}", labels) for name, labels in outputs.items()}
        ends = {name: end for name, end in found.items() if end}
        if not ends:
            raise ValueError(
                f"{self.source}: expected an output of a recurrent layer, got {', '.join(outputs) or 'none'}"
            )
        name = max(ends, key=lambda name: (len(walk(ends[name][0])), not ends[name][1]))
        last, final, batch_first = ends[name]
        self.walked, self.outputs = walk(last), dict(outputs)
        layers = [stage for stage in self.walked if stage.form]
        states = np.concatenate([part.ravel() for stage in layers for part in (stage.final, stage.cells)])
        for other, labels in outputs.items():
            if other != name and not np.isin(self.renamed[labels], states).all():
                got = " and ".join(stage.title for stage in self.owners(labels))
                raise self.error(f"output {other}", f"expected final states besides {name}, got values of {got}")
        forms = list(dict.fromkeys(stage.form for stage in layers))
        if len(forms) != 1:
            raise ValueError(f"{self.source}: expected recurrent layers of one form, got {'; '.join(forms)}")
        for stage in layers:
            if stage.reverse:
                raise self.error(stage.title, "expected forwards or both directions, got backwards alone")
        if batch_first not in (None, layers[0].batch_first):
            raise self.error(f"output {name}", "expected T and B in the order of the input, got the other order")
        self._check_initial(layers)
        edges = (last.activation, final, layers[0].batch_first)
        return Network(forms[0], [list(stage.directions) for stage in layers], dict(last.readout or {}), *edges)

    def expected(self, network: Network, values: Array) -> dict[str, Array]:
        """Return what ``manual`` makes of the model's outputs from values by label; it writes those of later stages."""
        model, layers = network.model(), [stage for stage in self.walked if stage.form]
        state = [values[np.concatenate(parts)] for parts in zip(*(stage.initial for stage in layers))]
        output, last, *_ = model.forward(
            values[self.walked[0].labels], as_state(state) if state else None, training=False
        )
        if not (network.final and network.readout):
            output = output.swapaxes(0, 1) if network.batch_first else output
            values[self.walked[-1].labels] = output
        else:
            labels = self.walked[-1].labels
            values[labels if labels.ndim == 2 else labels[-1]] = output
        for part, of_layers in zip(state_parts(last), zip(*((stage.final, stage.cells) for stage in layers))):
            values[np.concatenate(of_layers)] = part
        return {name: values[self.renamed[labels]] for name, labels in self.outputs.items()}

    def _end(self, title: str, x: Labels) -> tuple[Stage, bool, bool | None] | None:
        """Return the stage that an output of the model is, whether its final state alone, and whether batch first.

        Return None for final states that are no output of one stage.
        """
        if len(self.owners(x)) == 1 or self._merge(self.owners(x)):
            (stage,) = self.owners(x)
            x = self.renamed[x]
            if stage.source is None:
                raise self.error(title, "expected what recurrent layers compute, got the input")
            layer = stage if stage.form else stage.source
            views: list[tuple[Labels, bool, bool | None]] = []
            if stage.labels.ndim == 3:
                views += [(stage.labels, False, False), (stage.labels.swapaxes(0, 1), False, True)]
                last = stage.labels[-1]  # (B, F)
            else:
                views += [(stage.labels, True, None)]
            if stage.form:
                views += [(np.concatenate(list(stage.final), axis=-1), True, None), (stage.final, True, None)]
            elif stage.labels.ndim == 3 and len(layer.directions) == 1:
                views += [(last, True, None)]
            for view, final, batch_first in views:
                if np.array_equal(x, view):
                    return stage, final, batch_first
            if stage.labels.ndim == 3 and np.array_equal(x, last):
                words = "at which the backward direction has read one element"
                raise self.error(
                    title, f"expected all steps or the final states, got {stage.title} at the last step, {words}"
                )
        states = [part.ravel() for stage in self.stages if stage.form for part in (stage.final, stage.cells)]
        if np.isin(x, self.renamed[np.concatenate([*states, np.empty(0, np.int64)])]).all():
            return None
        got = " and ".join(stage.title for stage in self.owners(x))
        raise self.error(
            title, f"expected all steps or the final state of one stage, got other elements of {got}, as {x.shape}"
        )

    def _read(self, title: str, x: Labels) -> tuple[Stage, bool, bool]:
        """Return what a recurrent layer reads with x (T, B, F): a stage, whether reversed, and whether batch first."""
        stage = self._stage(title, x)
        x = self.renamed[x]
        if stage.readout:
            raise self.error(title, f"expected to read the input or a recurrent layer, got the readout {stage.title}")
        orders = [(stage.labels, False)]
        if stage.source is None and stage.labels.ndim == 3:
            orders.append((stage.labels.swapaxes(0, 1), True))
        for labels, batch_first in orders:
            for is_reversed in (False, True):
                if np.array_equal(x, labels[::-1] if is_reversed else labels):
                    return stage, is_reversed, batch_first
        got = f"others of its elements, or in another order, as {x.shape}"
        raise self.error(title, f"expected all of {stage.title} as (T, B, F), of shape {stage.labels.shape}, got {got}")

    def _stage(self, title: str, x: Labels) -> Stage:
        """Return the one stage that x comes from."""
        owners = self.owners(x)
        if len(owners) > 1 and not self._merge(owners):
            raise self.error(title, f"expected to read one stage, got {' and '.join(stage.title for stage in owners)}")
        (stage,) = self.owners(x)
        return stage

    def _merge(self, owners: list[Stage]) -> bool:
        """Make one layer of two that read the same input, one forwards and the other backwards; say whether they do."""
        if len(owners) != 2 or any(len(stage.directions) != 1 for stage in owners):
            return False
        forward, backward = sorted(owners, key=lambda stage: stage.reverse)
        like = [(stage.source, stage.form, stage.labels.shape, len(stage.initial)) for stage in owners]
        if (forward.reverse, backward.reverse) != (False, True) or like[0] != like[1]:
            return False
        T, B, H = forward.labels.shape
        labels, cells = self._label((T, B, 2 * H)), self._label((2, B, H))
        for k, stage in enumerate((forward, backward)):
            for old, new in ((stage.labels, labels[..., k * H : (k + 1) * H]), (stage.cells, cells[k : k + 1])):
                self.renamed[old] = new
        both = forward.directions + backward.directions
        initial = tuple(np.concatenate(parts) for parts in zip(forward.initial, backward.initial))
        title = f"{forward.title} and {backward.title}"
        self._add(replace(forward, title=title, labels=labels, cells=cells, directions=both, initial=initial))
        return True

    def _check_initial(self, layers: Sequence[Stage]) -> None:
        """Make sure that the initial states, if any, are the caller's, in the order of layers and directions."""
        if len({len(stage.initial) for stage in layers}) > 1:
            raise ValueError(f"{self.source}: expected an initial state for all layers or for none, got some")
        for parts in zip(*(stage.initial for stage in layers)):
            for stage, part in zip(layers, parts):
                for owner in self.owners(part):
                    if owner.source:
                        raise self.error(
                            stage.title, f"expected a caller's initial state, got elements of {owner.title}"
                        )
            together = np.concatenate(parts)
            whole = [together] if len(self.owners(together)) == 1 else list(parts)
            for labels in whole:
                owners = self.owners(labels)
                if len(owners) > 1 or not np.array_equal(labels.ravel(), owners[0].labels.ravel()):
                    got = " and ".join(owner.title for owner in owners)
                    raise self.error(
                        layers[0].title, f"expected the initial state by layer and direction, got other parts of {got}"
                    )

    def _instead(self, x: Labels, stage: Stage, title: str, readout: Arrays, activation: str = "linear") -> Labels:
        """Return x as the labels of a stage that takes the place of another, with labels of its own."""
        labels = self._label(stage.labels.shape)
        self._add(replace(stage, title=title, labels=labels, readout=readout, activation=activation))
        return x - stage.labels.min() + labels.min()

    def _label(self, shape: Sequence[int]) -> Labels:
        """Return labels that nothing else has."""
        start = len(self.renamed)
        labels = np.arange(start, start + int(np.prod(shape)))
        self.renamed = np.concatenate([self.renamed, labels])
        return labels.reshape(shape)

    def _add(self, stage: Stage) -> None:
        """Note whose labels those are that were given out since the last stage."""
        new = len(self.renamed) - len(self.owner)
        self.owner = np.concatenate([self.owner, np.full(new, len(self.stages))])
        self.stages.append(stage)
