"""Measure how often the check is wrong: ``PYTHONPATH=tests/compare/checker python -m matrix [dtype ...] [part/parts]``.

Each right derivation is checked with several seeds, and once for each gradient and fault. It prints, by dtype and
fault, how many wrong ones agree or are not decided, and which right ones are refused. A part takes every so manieth
derivation.
"""

import sys
from collections import Counter, defaultdict

from matrix import CASES, FAULTS, verdict, wrongs

#: With so many seeds for each derivation there are a thousand right ones in each dtype.
SEEDS = 22


def main(dtypes: list[str], part: int, parts: int) -> None:
    for dtype in dtypes:
        right, wrong = Counter(), defaultdict(Counter)
        for name, case in list(CASES.items())[part - 1 :: parts]:
            for seed in range(SEEDS):
                right[found := verdict(case.check_function(seed, dtype=dtype))] += 1
                if found not in ("agree", "less accurate"):
                    print(f"  {dtype} right, yet {found}: {name}, seed {seed}", flush=True)
            for gradient, fault in wrongs(case):
                found = verdict(case.check_function(0, (gradient, FAULTS[fault]), dtype))
                wrong[fault][found] += 1
                if found in ("agree", "less accurate"):
                    print(f"  {dtype} wrong, yet {found}: {name}, d_{gradient}, {fault}", flush=True)
        total = sum(wrong.values(), Counter())
        print(f"{dtype}: {right.total()} right: {dict(right)}")
        print(f"{dtype}: {total.total()} wrong: {dict(total)}")
        for fault, counts in wrong.items():
            print(f"    {fault:14}{dict(counts)}")


parts = [argument for argument in sys.argv[1:] if "/" in argument] or ["1/1"]
dtypes = [argument for argument in sys.argv[1:] if "/" not in argument]
main(dtypes or ["float64", "float32", "bfloat16", "float16"], *map(int, parts[0].split("/")))
