"""The right lines are written into a file as the user would write them."""

from compare.checker.lines.fix import fixed

TEXT = "def f(x):\n    y = 2 * x  # twice\n    z = (\n        y + 1\n    )\n    if z: z = -z\n    return z\n"


def fault(span, repair, file):
    return {"file": str(file), "span": span, "repair": repair}


def test_statements_are_replaced_where_they_stand(tmp_path):
    file = tmp_path / "f.py"
    file.write_text(TEXT)
    faults = [
        fault((2, 4, 2, 13), "y = 3 * x", file),
        fault((3, 4, 5, 5), "z = y - 1", file),
        fault((6, 10, 6, 16), "z = +z", file),
    ]
    content, lines = fixed(file, faults)
    assert lines == [2, 3, 6]
    assert content.decode() == "def f(x):\n    y = 3 * x  # twice\n    z = y - 1\n    if z: z = +z\n    return z\n"


def test_other_files_and_faults_without_a_repair_are_left_alone(tmp_path):
    file = tmp_path / "f.py"
    file.write_text(TEXT)
    faults = [
        fault((2, 4, 2, 13), "y = x", file),
        fault((7, 4, 7, 12), "return 0", tmp_path / "g.py"),
        fault((7, 4, 7, 12), "", file),
    ]
    content, lines = fixed(file, faults)
    assert lines == [2]
    assert content.decode() == TEXT.replace("2 * x", "x")
