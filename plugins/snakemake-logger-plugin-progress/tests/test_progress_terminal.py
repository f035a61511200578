"""The bar in a terminal, in whole runs of Snakemake."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

pytestmark = pytest.mark.slow

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
JOBS = 12
WORKFLOW = f"""
rule all:
    input: expand("{{n}}.txt", n=range({JOBS}))
rule one:
    output: "{{n}}.txt"
    priority: lambda wildcards: -int(wildcards.n)
    shell: "sleep 0.5; test {{wildcards.n}} != 3 -a {{wildcards.n}} != 4; touch {{output}}"
"""


def run_in_terminal(command: list[str], folder, columns: int, interrupt_at: str = "") -> tuple[int, str]:
    """Run a command in a terminal that is `columns` wide, and press Ctrl-C when the text `interrupt_at` appears."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "NO_COLOR")}
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment | {"TERM": "xterm"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(terminal)
    text = b""
    while True:
        try:
            text += os.read(controller, 10_000)
        except OSError:  # the other end of the terminal is closed
            break
        if interrupt_at and interrupt_at.encode() in text:
            interrupt_at = ""
            os.write(controller, b"\x03")
    os.close(controller)
    return process.wait(), text.decode()


def bars(text: str) -> list[str]:
    """Return the states of the line with the bar that were drawn, without escape sequences."""
    lines = re.split(r"[\r\n]+", ESCAPE.sub("", text))
    return [line for line in lines if re.match(rf"[━╸╺ ]*\d+/{JOBS}\b", line)]


def snakemake(*arguments: str) -> list[str]:
    fixed = "--cores 2 --keep-going --latency-wait 0 --logger progress --logger-progress-rules one"
    return [sys.executable, "-m", "snakemake", *fixed.split(), *arguments]


@pytest.fixture
def workflow(tmp_path):
    """Twelve jobs of half a second, two of which fail early."""
    (tmp_path / "Snakefile").write_text(WORKFLOW)
    return tmp_path


def test_the_bar_stays_below_the_messages(workflow):
    code, text = run_in_terminal(snakemake(), workflow, columns=80)
    assert code == 1
    drawn = bars(text)
    assert len(drawn) > 2
    assert any("━" in line and "2 failed" in line and "/s" in line and "left" in line for line in drawn)
    assert all(len(line) < 80 for line in drawn)
    assert text.count("Error in rule one") == 2, "errors are shown"
    assert "Finished jobid" not in text
    assert f"of {JOBS + 1} steps" not in text
    log = max((workflow / ".snakemake/log").iterdir()).read_text()
    assert "\x1b" not in log
    assert f"of {JOBS + 1} steps" in log


def test_a_narrow_terminal_shortens_the_bar_and_no_message(workflow):
    _, text = run_in_terminal(snakemake(), workflow, columns=20)
    drawn = bars(text)
    assert drawn
    assert all(len(line) < 20 for line in drawn)
    assert "Error in rule one" in text
    assert "(command exited with non-zero exit code)" in text


def test_standard_output_goes_where_it_is_meant_to(workflow):
    with (workflow / "Snakefile").open("a") as file:
        file.write("import time\ntime.sleep(1.5)\nprint('x' * 300, flush=True)\ntime.sleep(0.7)\n")
    line = " ".join(snakemake("--summary"))
    _, text = run_in_terminal(["sh", "-c", f"{line} > summary.txt"], workflow, columns=80)
    assert "\x1b" in text, "the line with the status was there"
    lines = (workflow / "summary.txt").read_text().splitlines()
    assert lines[0] == "x" * 300
    assert len(lines) == JOBS + 2


def test_ctrl_c_leaves_the_terminal_as_it_was(workflow):
    # Long enough that the last jobs are still to come when the key is pressed, and short enough to wait for those that
    # Snakemake starts at that moment, which the terminal does not interrupt.
    (workflow / "Snakefile").write_text(WORKFLOW.replace("sleep 0.5", "sleep 3"))
    code, text = run_in_terminal(snakemake(), workflow, columns=80, interrupt_at=" left")
    assert code != 0
    assert "Terminating processes on user request" in text
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l"), "the cursor is shown"
    assert text.endswith("\x1b[2K"), "the last thing is to remove the line"
