"""The tools that a user could pick instead: each makes the same, and can be installed."""

import re
import subprocess
import tempfile
from pathlib import Path

import pytest
from PIL import Image

from bench import contenders, tools
from bench.check import expected_sizes, find_fault
from bench.corpus import list_pictures
from bench.pictures import draw_picture, draw_pictures
from bench.task import Task, output_folder
from bench.tools import read_version

TOOLS = str(Path(tempfile.gettempdir(), "thumbmill-bench/tools"))  # where python -m bench --install puts them


def run_alone(name, source, folder, boxes=(160,)):
    """Run the contender `name` on the pictures in `source`; return the Task, its exit code, and what it printed.

    Skip the test if one of its tools is missing.
    """
    contender = contenders.CONTENDERS[name]
    missing = tools.find_missing(contender.needs, TOOLS)
    if missing:
        pytest.skip(missing)
    task = Task(str(source), str(folder / name), boxes, 80, 2, TOOLS)
    (folder / name).mkdir()
    command = contender.command(task)
    done = subprocess.run(command, cwd=task.folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return task, done.returncode, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in contenders.PEERS if name != "stock-shell"])
def test_each_tool_makes_the_same(name, tmp_path):
    source = tmp_path / "own"
    # With the hint that makes them quick, both mogrifys enlarge a JPEG that is smaller than its thumbnail.
    smallest = (400, 200) if name in ("mogrify", "gm") else (100, 80)
    draw_pictures(str(source), 5, [(".jpg", size) for size in ((400, 300), (300, 400), smallest)], 1)
    turned = Image.Exif()
    turned[0x0112], turned[0x010F] = 6, "somebody's camera"
    draw_picture(6, (400, 200)).save(source / "turned.jpg", exif=turned)
    draw_picture(7, (300, 200)).save(source / "000" / "other.png")
    names = list_pictures(str(source))
    contender = contenders.CONTENDERS[name]
    boxes = (160,) if contender.max_sizes == 1 else (160, 80)
    task, code, printed = run_alone(name, source, tmp_path, boxes)
    assert code == 0, printed
    for box in boxes:
        output = output_folder(task, box)
        sizes = expected_sizes(str(source), names, box)
        assert find_fault(output, names, sizes, contender.naming) is None
        sizes["turned.jpg"] = {(box // 2, box)}
        assert find_fault(output, names, sizes, contender.naming) is None, "upright"
        with Image.open(Path(output, contender.naming("turned.jpg"))) as thumbnail:
            draw_picture(0, (60, 60)).save(tmp_path / "plain.jpg", quality=80)
            with Image.open(tmp_path / "plain.jpg") as plain:
                assert thumbnail.quantization == plain.quantization
                assert [layer[1:3] for layer in thumbnail.layer] == [layer[1:3] for layer in plain.layer]
            assert not thumbnail.getexif() and "progressive" not in thumbnail.info and "exif" not in thumbnail.info
    assert re.match(r"\d", read_version(contender.needs[-1], TOOLS))


@pytest.mark.slow
def test_stock_snakemake_with_a_shell_command_makes_the_same(tmp_path, plain_pictures):
    task, code, printed = run_alone("stock-shell", plain_pictures, tmp_path, (160, 80))
    assert code == 0, printed
    names = list_pictures(str(plain_pictures))
    for box in (160, 80):
        assert find_fault(output_folder(task, box), names, expected_sizes(task.source, names, box)) is None


def test_only_what_is_missing_is_installed(tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr(tools, "find_tool", lambda name, folder: None if name in ("gm", "sharp", "sigal") else name)
    monkeypatch.setattr(tools, "attempt", lambda command: commands.append(command) or True)
    monkeypatch.setattr(tools.os, "geteuid", lambda: 0)
    monkeypatch.setattr(tools.shutil, "which", lambda name: name)
    tools.install(str(tmp_path / "tools"))
    assert commands[0][-1] == "graphicsmagick" and "make" not in commands[0]
    assert [command[-1] for command in commands[1:]] == ["sharp@0.35.5", str(tmp_path / "tools/sigal"), "sigal==2.6.1"]
    monkeypatch.setattr(tools.os, "geteuid", lambda: 1000)
    commands.clear()
    tools.install(str(tmp_path / "tools"))
    assert not any("apt-get" in command for command in commands)
