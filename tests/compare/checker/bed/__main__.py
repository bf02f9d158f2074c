"""Measure how often the right line is named: ``PYTHONPATH=tests/compare/checker python -m bed``.

Every program is checked, right and with each fault, two at a time with one thread each. This takes a few minutes,
and SciPy for one of them. ``results.json`` has the rates in per cent with Wilson's 95 % intervals, and the faults
that fail.
"""

import json
import math
import multiprocessing
import os
from statistics import NormalDist

import numpy as np

from bed import CASES, RESULTS
from bed.trial import tried

CRITERIA = ("caught", "exact", "innocent lines only", "repair given", "repair right")


def rate(count: int, of: int) -> dict:
    """Return a rate with Wilson's 95 % interval."""
    z, p = NormalDist().inv_cdf(0.975), count / of
    middle, half = p + z * z / (2 * of), z * math.sqrt(p * (1 - p) / of + (z / (2 * of)) ** 2)
    low, high = ((middle + side) / (1 + z * z / of) for side in (-half, half))
    percent = [round(100 * max(value, 0.0), 1) for value in (p, low, high)]
    return {"number": count, "rate": percent[0], "interval": percent[1:]}


def counted(records: list[dict]) -> dict:
    """Count some faults by each criterion, and the processor time of their checks."""
    median, most = np.percentile([one["seconds"] for one in records], [50, 90]).round(2)
    counts = {name: rate(sum(one.get(name, False) for one in records), len(records)) for name in CRITERIA}
    return {"number": len(records)} | counts | {"processor seconds": {"median": median, "90 %": most}}


def main() -> None:
    os.environ.update({f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL")})
    tasks = [(name, number) for name, case in CASES.items() for number in range(len(case.faults) + 1)]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bed", "compare.cells.check"])
    with context.Pool(2, maxtasksperchild=1) as pool:
        records = pool.starmap(tried, tasks, chunksize=1)
    right = [one for one in records if not one["fault"]]
    wrong = [one for one in records if one["fault"]]
    results = {
        "right programs": {
            "number": len(right),
            "agree": rate(sum(one["verdict"] == "agree" for one in right), len(right)),
        },
        "total": counted(wrong),
    }
    for kind in ("program", "fault"):
        kinds = sorted({one[kind] for one in wrong})
        results[f"by kind of {kind}"] = {each: counted([one for one in wrong if one[kind] == each]) for each in kinds}
    fails = {name: name == "innocent lines only" for name in CRITERIA}
    results["failed"] = {key: [one["name"] for one in wrong if one.get(key, False) == fails[key]] for key in CRITERIA}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
