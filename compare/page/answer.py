"""``answer.html``: the LSTM of the first write-up, to be trained in the browser with its mistakes on or off."""

from pathlib import Path

from compare.page.render import render

#: The five mistakes: their switch, the equation, what is wrong, and the line as it should be.
MISTAKES = (
    ("carryH", "L15", "nothing is carried back through H", "H_t_diff = output_diff * out_para' + future_H_diff;"),
    ("carryC", "L14", "nothing is carried back through C", "future_C_diff = C_t_diff .* F_t;"),
    ("slopeAtC", "L9", "1 - c² in the place of 1 - tanh(c)²", "H_t_diff .* O_t .* (1 - tanh(C_t) .^ 2)"),
    ("slopeOfH", "L8", "a factor h (1 - h)", "no such factor"),
    ("slopeOfWeights", "L17, L18", "factors W (1 - W) and 1 - W²", "W_i_diff = H_t_1' * I_t_diff;"),
)


def write(path: Path) -> None:
    """Write the page."""
    render("answer.html", {"mistakes": MISTAKES}, {}, path)
