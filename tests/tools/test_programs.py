"""Every program of the repository explains itself."""

import importlib
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent.parent
WITHOUT_ARGUMENTS = {"bench.loops", "tools.list_files"}  # the first is part of the benchmark, which calls it


def programs() -> list[str]:
    """Return the modules of bench/, trials/ and tools/ that can run as programs."""
    paths = [path for folder in ("bench", "trials", "tools") for path in (REPOSITORY / folder).rglob("*.py")]
    found = [
        ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
        for path in paths
        if 'if __name__ == "__main__":' in path.read_text()
    ]
    return sorted({*found} - WITHOUT_ARGUMENTS)


@pytest.mark.parametrize("module", programs())
def test_a_program_answers_help(module, capsys):
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(module).main(["--help"])
    assert not ended.value.code
    help_text = capsys.readouterr().out
    assert help_text.startswith(f"usage: python -m {module.removesuffix('.__main__')} ")
    # A description begins after two blanks or more, or on a line of its own.
    options = re.findall(r"^  -.*(?:\n {24}.*)?", help_text, re.MULTILINE)
    assert options and all(re.search(r"\S(?: {2,}|\n +)\S", option) for option in options)


def test_programs_are_found():
    assert {"bench.__main__", "bench.quality.__main__", "bench.report", "trials.__main__", "trials.kills"} <= {
        *programs()
    }
