"""The comparisons: `python -m bench --help` (speed), `python -m bench.quality --help`. The workflow imports neither."""
