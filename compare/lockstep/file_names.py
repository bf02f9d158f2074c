"""The names of the files in the folder of a run."""

SUMMARY, WEIGHTS = "summary.json", "weights.safetensors"
PAGES, FIGURES = ("run.html", "derivation.html"), ("agreement.png", "faults.png", "error_curve.png")

#: Everything that a run may write; a folder that has the summary is complete.
FILES = (SUMMARY, "steps.csv", WEIGHTS, *PAGES, *FIGURES)
