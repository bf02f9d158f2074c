"""``audit``: the published backward passes against the true one."""

import argparse
import json
import sys
from functools import partial

import torch

from compare.commands import AGREE
from compare.commands.output import add_out, console, make_ready
from compare.published import audit_report
from compare.published.audit import audit

#: With --quick, the share of the problems, and the starts.
QUICK = 0.05, 2


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of an audit."""
    parser.description = (
        "Run the backward passes of five public write-ups as they were published: how far from autograd's gradient "
        "they are, which equations are wrong, and how training by them compares with training by the true gradient, "
        "from the same starts on the same problems. The whole takes some minutes. It is a report: exit status 0."
    )
    parser.add_argument("--quick", action="store_true", help="train on a twentieth of the problems, from two starts")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    add_out(parser, "folder for audit.png and audit.json")


def run(options: argparse.Namespace) -> int:
    """Audit, print, draw."""
    make_ready(options.out)
    torch.set_num_threads(1)  # tensors this small gain nothing from more
    quiet = options.json or not sys.stderr.isatty()
    share, starts = QUICK if options.quick else (1.0, 5)
    found = audit(share, starts, (lambda line: None) if quiet else partial(print, file=sys.stderr))
    text = json.dumps(audit_report.as_json(found), indent=2, ensure_ascii=False)
    audit_report.write(found, text, options.out)
    if options.json:
        print(text)
        return AGREE
    audit_report.show(found, console())
    print(f"Written to {options.out}")
    return AGREE
