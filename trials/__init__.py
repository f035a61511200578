"""Trials of what docs/reliability.md promises, and of what things cost: `python -m trials` runs them all.

They are programs, not tests: they take minutes to hours, and some figures count only on a quiet machine.
"""

from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
