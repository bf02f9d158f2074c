"""The forms of the cells that frameworks have."""

from compare.cells import CELLS, Form

#: By the names that tables show and other tables are keyed by.
FORMS = {
    form.name: form
    for form in (
        *(Form(CELLS["lstm"], {"peepholes": p, "coupled": c}) for c in (False, True) for p in (False, True)),
        Form(CELLS["gru"]),
        Form(CELLS["gru"], {"reset_after": False}),
        Form(CELLS["rnn"]),
        Form(CELLS["rnn"], {"nonlinearity": "relu"}),
        Form(CELLS["rnn"], {"nonlinearity": "sigmoid"}),
    )
}
