"""Mutated pictures, and the fuzzer itself: it finds each kind of fault."""

import re
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from tests.support.pictures import box_size
from tests.support.shop import REPOSITORY
from trials import fuzz
from trials.hostile import MADE


def test_mutated_pictures_are_made_whole_or_refused():
    """A few dozen; python -m trials.fuzz goes on for minutes."""
    results, peak = fuzz.fuzz(range(60), 8, [])
    assert [result for result in results if result.finding] == []
    assert 10 < sum(result.outcome == MADE for result in results) < 50
    assert 0 < peak < fuzz.MEGABYTES


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("os.kill(os.getpid(), 11)", "crash: exit code -11"),
        ("signal.setitimer(signal.ITIMER_REAL, 0.1); time.sleep(9)", "hang"),
        ("raise KeyError('x')", "KeyError:"),
        ("raise PictureError(failures.Failure(Kind.EMPTY, 'two\\nlines'))", "a reason that is not one line"),
        ("open(wanted[0].path + '.part', 'w')", "files ["),
    ],
)
def test_fuzzer_finds_each_kind_of_fault(fault, expected, tmp_path):
    """Put into the picture function of a copy; the fuzzer goes on after it."""
    for folder in ("thumbmill", "trials", "tests"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    script = tmp_path / "trials/fuzz.py"
    text = script.read_text()
    call = '            make_thumbnails(str(folder / "source")'
    assert text.count(call) == 1
    fault = f"            if number == 1:\n                from thumbmill import failures\n                {fault}\n"
    script.write_text(text.replace(call, fault + call))
    command = [sys.executable, "-c", "from trials import fuzz; print(fuzz.fuzz(range(3), 8, [])[0])"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    found = re.findall(r"Ended\(number=(\d), outcome=(.*?), finding=(True|False)", done.stdout)
    assert [(number, finding) for number, _, finding in found] == [("0", "False"), ("1", "True"), ("2", "False")], done
    assert expected in found[1][1]


def test_fuzzer_knows_what_is_no_whole_thumbnail(tmp_path):
    path, size = tmp_path / "t.png", box_size(64, 64)
    Image.new("RGB", (65, 64), "red").save(path)
    assert "is larger than" in fuzz.not_whole(path, size, "png")
    assert fuzz.not_whole(path, {**size, "width": 65}, "webp") == "PNG instead of webp"
    assert fuzz.not_whole(path, {**size, "width": 65}, "png") == ""
    path.write_bytes(path.read_bytes()[:-30])
    assert fuzz.not_whole(path, {**size, "width": 65}, "png").startswith("a thumbnail that cannot be read")
