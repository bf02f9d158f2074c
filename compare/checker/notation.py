"""What the names of a derivation stand for: the gates they belong to, and the numbered equations behind them."""

from dataclasses import dataclass

from manual.arrays import Array


@dataclass(frozen=True)
class Equation:
    """The number of an equation, "" if it has none, and its right-hand side."""

    number: str = ""
    formula: str = ""


class Notation:
    """What is known of the quantities of a derivation besides their names: nothing, unless a subclass knows more."""

    #: The name of the cell that is derived, if it is one.
    cell_name = ""

    def gate(self, name: str) -> str:
        """Return the gate that an intermediate belongs to, or ""."""
        return ""

    def blocks(self, name: str, gradient: Array) -> dict[str, Array]:
        """Split the gradient of a parameter by gate. A block without a gate is named ""."""
        return {"": gradient}

    def equation(self, name: str, gate: str = "") -> Equation:
        """Return the equation of an intermediate, of a gradient or of one gate's block of it."""
        return Equation()

    def titled(self, name: str, recorded: bool) -> str:
        """Return number and name of a quantity; a parameter of one gate is named without it, as a probe is not."""
        bare, _, last = name.rpartition("_")
        number = self.equation(name).number
        bare = bare if last and not recorded and self.gate(last) == last else name
        return f"({number}) {bare}" if number else bare
