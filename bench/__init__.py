"""The side-by-side benchmark: `python -m bench.compare --help`. Not part of the workflow, which does not import it."""
