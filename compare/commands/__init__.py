"""The commands of ``python -m compare``, one module each.

A module has ``arguments(parser)``, which adds its arguments, and ``run(options)``, which returns the exit status. A
``ValueError`` that it raises is printed on one line, and the exit status is that of bad input.
"""

#: Exit statuses. 1 stands for a verdict of DISAGREE or OPEN that was printed, 5 for one of UNDECIDED, and for nothing
#: else; the last two are those of a process that SIGINT or SIGTERM ends.
AGREE, DISAGREE, BAD_INPUT, INTERNAL_ERROR, FILE_ERROR, UNDECIDED, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 4, 5, 130, 143

#: What each command does, in groups. Its module has its name.
GROUPS = {
    "check a derivation": {
        "check": "find the wrong line in a derivation of your own",
        "new": "write a starter file for a derivation, to be filled in and checked",
        "page": "write a page with a derivation, its code, its values and its errors, to look at",
    },
    "prove that this one is right": {
        "train": "train both sides on binary addition in lock-step (the default)",
        "bench": "time the hand-derived layers against autograd and other frameworks",
        "accuracy": "measure the rounding error of each side against long double",
        "frameworks": "compare the hand-derived layers with those of every installed framework",
        "convert": "carry the weights of a recurrent network from one framework to another",
        "add": "add two numbers with the trained weights of a run",
    },
    "published write-ups": {
        "recipes": "list the published systems, or train one of them",
        "audit": "check five published backward passes, and measure what their mistakes cost",
        "kernels": "check four kernels, and measure what the published mLSTM backward pass leaves out",
    },
}
COMMANDS = {name: summary for commands in GROUPS.values() for name, summary in commands.items()}
