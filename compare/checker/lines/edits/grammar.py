"""The small mistakes that people make, as what stands in the place of an expression: the simplest first.

Each form has a cost. Its letters are the expression ``n`` itself and another one, ``f``, of the same function.
"""

#: What becomes of an expression alone.
ALONE: dict[str, float] = {
    "-n": 1.0,
    "n.T": 1.0,
    "n.swapaxes(-1, -2)": 1.3,
    "1 - n": 1.0,
    "n ** 2": 1.15,
    "n ** 3": 1.3,
    "2 * n": 1.2,  # after a factor with a name, which may have this value
    "n / 2": 1.2,
    "3 * n": 1.3,
    "n + 1": 1.3,
    "n - 1": 1.3,
    "1 / n": 1.3,
    "n.sum(0)": 1.1,
    "n.sum(1)": 1.1,
    "n.sum(-1)": 1.1,
    "n.sum()": 1.2,
    "n.sum((0, 1))": 1.2,
    "n.sum(0, keepdims=True)": 1.2,
    "n.sum(1, keepdims=True)": 1.2,
    "n.sum(-1, keepdims=True)": 1.2,
    "n.mean(0)": 1.2,
    "n.mean(1)": 1.3,
    "n.mean(-1)": 1.3,
    "n.mean(-1, keepdims=True)": 1.3,
    "n.mean(0, keepdims=True)": 1.3,
    "n - n.mean(-1, keepdims=True)": 1.8,
    "n - n.mean(0)": 1.8,
    "n - n.sum(-1, keepdims=True)": 1.8,
    "n[::-1]": 1.2,
    "n[..., ::-1]": 1.3,
    "n[..., ::-1, ::-1]": 1.3,
    "n.flip(-1)": 1.3,
    "n.flip(-2, -1)": 1.3,
    "n[:, None]": 1.2,
    "n[None]": 1.2,
    "n[..., None]": 1.2,
    "np.tanh(n)": 1.1,
    "np.exp(n)": 1.2,
    "np.log(n)": 1.3,
    "np.sqrt(n)": 1.2,
    "np.abs(n)": 1.3,
    "np.sign(n)": 1.3,
    "np.maximum(n, 0)": 1.3,
    "n * (1 - n)": 1.4,
    "1 - n ** 2": 1.3,
    "1 - np.tanh(n) ** 2": 1.5,
    "1 / (1 + np.exp(-n))": 1.5,
    "(n > 0)": 1.4,
}

#: What stands in the place of an operand.
INSTEAD: dict[str, float] = {
    "f": 1.0,
    "1 - f": 1.3,
    "f ** 2": 1.4,
    "f.T": 1.4,
    "f * (1 - f)": 1.7,
    "1 - f ** 2": 1.6,
    "np.tanh(f)": 1.4,
    "np.exp(f)": 1.5,
    "(f > 0)": 1.6,
    "1 - np.tanh(f) ** 2": 1.8,
    "f[::-1]": 1.6,
}

#: What stands in the place of a larger expression.
SUBEXPRESSION: dict[str, float] = {
    "f": 1.3,
    "1 - f": 1.5,
    "f ** 2": 1.5,
    "f * (1 - f)": 1.7,
    "1 - f ** 2": 1.6,
    "np.tanh(f)": 1.6,
    "(f > 0)": 1.7,
    "1 - np.tanh(f) ** 2": 1.8,
}

#: A factor more.
FACTOR: dict[str, float] = {
    "n * f": 1.1,
    "n / f": 1.4,
    "n * (1 - f)": 1.3,
    "n * f * (1 - f)": 1.5,
    "n * (1 - f ** 2)": 1.5,
    "n * (f > 0)": 1.5,
    "n * f ** 2": 1.6,
    "n / f ** 2": 1.8,
    "n * np.tanh(f)": 1.5,
    "n * (1 - np.tanh(f) ** 2)": 1.7,
    "n * np.exp(f)": 1.7,
    "n * np.exp(-f)": 1.8,
    "n / (1 + np.exp(-f))": 1.8,
    "n * np.sign(f)": 1.7,
    "n * (1 + f)": 1.7,
    "n * (f < 0)": 1.9,
    "n * f[:, None]": 1.5,
    "n * f[..., None]": 1.5,
    "n * f[None]": 1.6,
    "n / f[..., None]": 1.7,
    "n / f[:, None]": 1.7,
    "n / f.sum()": 1.8,
    "n / f.sum(-1, keepdims=True)": 1.9,
    "n * np.sqrt(f)": 1.9,
    "n / np.sqrt(f)": 1.9,
    "n * f.sum(0)": 1.9,
    "n * f.sum(-1, keepdims=True)": 1.9,
}

#: A matrix product more.
PRODUCT: dict[str, float] = {
    "n @ f": 1.4,
    "n @ f.T": 1.4,
    "f @ n": 1.5,
    "f.T @ n": 1.5,
}

#: What a whole number may be in: as 1 + f it would be a size by chance.
OF_WHOLE_NUMBERS = frozenset(
    {"f", "n * f", "n / f", "n / f.sum()", "n / f[:, None]", "n / f[..., None]", "n * f[:, None]", "n * f[..., None]"}
)

#: A factor that is a size.
SIZES: dict[str, float] = {
    "n / len(f)": 1.6,
    "n * len(f)": 1.6,
    "n / f.shape[1]": 1.7,
    "n * f.shape[1]": 1.7,
    "n / f.shape[-1]": 1.7,
    "n * f.shape[-1]": 1.7,
    "n / f.size": 1.8,
    "n * f.size": 1.8,
    "n / f.numel()": 1.8,
    "n * f.numel()": 1.8,
}

#: Another number of degrees of freedom in the place of a count.
DEGREES: dict[str, float] = {"n - 1": 1.2, "n + 1": 1.3}

#: A term more.
TERM: dict[str, float] = {
    "n + f": 1.2,
    "n - f": 1.2,
    "f - n": 1.4,
    "n + f.sum(0)": 1.8,
    "n - f.sum(-1, keepdims=True)": 1.9,
    "n + f[:, None]": 1.8,
    "n + f[..., None]": 1.8,
    "n - n * f": 1.8,
    "n - (n * f).sum(-1, keepdims=True)": 1.9,
    "n - f * (n * f).sum(-1, keepdims=True)": 2.0,
    "n - f * (n @ f)": 2.0,
    "n - (n * f).mean(-1, keepdims=True)": 2.0,
    "n - (n @ f)": 2.0,
}

#: Products of two expressions, of which one may be a missing term.
PRODUCTS: dict[str, float] = {
    "f * g": 2.2,
    "f @ g": 2.2,
    "f @ g.T": 2.2,
    "f.T @ g": 2.2,
    "f * (1 - g)": 2.4,
    "f * (1 - g ** 2)": 2.6,
    "f * g[..., None]": 2.5,
    "f * g[:, None]": 2.5,
    "f[:, None] * g": 2.5,
    "np.outer(f, g)": 2.4,
    "(f * g).sum(0)": 2.4,
    "(f * g).sum(-1)": 2.5,
    "(f * g).sum(-1, keepdims=True)": 2.5,
    "(f * g).mean(-1, keepdims=True)": 2.6,
    "f / g": 2.5,
    "f * g * (1 - g)": 2.7,
    "f.sum(0) * g": 2.7,
}

#: An operator in the place of another.
OPERATORS = {
    "Add": ("Sub", "Mult"),
    "Sub": ("Add", "Mult"),
    "Mult": ("Div", "Add", "MatMult", "Sub"),
    "Div": ("Mult",),
    "MatMult": ("Mult",),
    "Pow": ("Mult",),
}
COMPARISONS = {
    "Gt": ("GtE", "Lt"),
    "GtE": ("Gt", "LtE"),
    "Lt": ("LtE", "Gt"),
    "LtE": ("Lt", "GtE"),
    "Eq": ("NotEq",),
    "NotEq": ("Eq",),
}

#: Functions that are taken for each other.
FUNCTIONS = (
    ("maximum", "minimum"),
    ("max", "min"),
    ("sum", "mean"),
    ("zeros_like", "ones_like"),
    ("argmax", "argmin"),
    ("triu", "tril"),
    ("exp", "log"),
    ("tanh", "sin"),
    ("sin", "cos"),
    ("outer", "multiply"),
    ("vstack", "hstack"),
    ("cumsum", "sum"),
    ("sqrt", "square"),
)
