"""Hostile files: made or refused within a time and a memory, and nothing in them is ever executed."""

import os
import subprocess
import sys

import pytest

from tests.support.pictures import SMALL
from tests.support.shop import REPOSITORY
from trials import hostile

# Files that take seconds to make or to decode.
SLOW = {
    "bomb-interlaced.png", "bomb.gif", "bomb-deflate.tif", "bomb-lzw.tif", "bomb.webp", "bomb.avif", "bomb.heic",
    "bomb-wide.png", "bomb-high.png", "bomb-frame.webp", "scans.jpg", "million-frames-animated.gif", "frames.png",
    "frames.webp", "profiles.png", "small-chunks.png", "segments.jpg", "exif-segments.jpg", "text-bomb.png",
    "profile-bomb.png", "bomb-12-bit.tif", "strip.tif",
}  # fmt: skip

SLOW_HERE = {"bomb.png", "bomb-tile.tif", "frames-large.webp"}  # the latter unless it is animated

OWN_MEGABYTES = 100  # of the interpreter and its libraries, which the limit does not count


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in hostile.FILES]
)
def test_each_is_made_or_refused_within_the_limits(name, tmp_path):
    """The real file, in a process of its own, which a crash or a hang would end."""
    file = hostile.FILES[name]
    path = tmp_path / name
    path.write_bytes(file.content())
    cost = hostile.measure(path, settings := hostile.settings_of(file))
    assert cost.outcome in file.expected, cost.text
    assert cost.megabytes <= settings["worker_memory"] + OWN_MEGABYTES
    thumbnails = [f"{name}.thumb-{format}" for format in settings["format"]]
    assert sorted(os.listdir(tmp_path)) == sorted([name, *(thumbnails if cost.outcome == hostile.MADE else [])])


def test_no_file_starts_a_program(tmp_path):
    """An audit hook sees every start of a program or process, however it comes about, and every connection."""
    paths = []
    for name in hostile.FILES.keys() - SLOW - SLOW_HERE:
        paths.append(tmp_path / name)
        paths[-1].write_bytes(hostile.FILES[name].content())
    program = (
        "import sys\n"
        "from thumbmill.errors import PictureError\n"
        "from thumbmill.imaging.thumbnails import Thumbnail, make_thumbnails\n"
        "starts = ('subprocess.', 'os.exec', 'os.posix_spawn', 'os.spawn', 'os.fork', 'os.system', 'pty.', 'socket.')\n"
        "seen = []\n"
        "sys.addaudithook(lambda event, args: seen.append(event) if event.startswith(starts) else None)\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n"
        f"        make_thumbnails(path, [Thumbnail(path + '.out', {SMALL!r}, 'jpeg')], quality={{'jpeg': 80}})\n"
        "    except PictureError:\n"
        "        pass\n"
        "print(seen)\n"
        "__import__('os').system('true')\n"
        "print(seen)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, *paths], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["[]", "['os.system']"], done.stderr  # the second: it would have been seen
