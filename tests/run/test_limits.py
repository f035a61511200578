"""The time and memory that one picture may take. Limits are those of a process, so most tests start one."""

import io
import signal
import subprocess
import sys

import pytest
from PIL import Image

from tests.support.pictures import SMALL, chunk, jpeg_header, png
from tests.support.shop import REPOSITORY
from thumbmill.failures import Kind
from thumbmill.run.failures import failure_of_worker


def run_limited(statement: str, seconds: float = 60, megabytes: int = 1_000) -> subprocess.CompletedProcess[str]:
    """Run a statement under limits, in a process of its own, which then prints its limits of memory and time."""
    program = (
        "import os, re, resource, signal\n"
        "from thumbmill import failures\n"
        "from thumbmill.errors import MemoryLimitError, PictureError\n"
        "from thumbmill.imaging.thumbnails import Thumbnail, make_thumbnails\n"
        "from thumbmill.run.limits import limited\n"
        f"try:\n    with limited({seconds}, {megabytes}):\n        {statement}\n"
        "except (MemoryError, PictureError) as error:\n    print(type(error).__name__)\n"
        "print(resource.getrlimit(resource.RLIMIT_DATA)[0], signal.getitimer(signal.ITIMER_REAL)[0])\n"
    )
    return subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True)


@pytest.mark.parametrize("statement", ["re.match('(a*)*b', 'a' * 40)", "os.read(os.pipe()[0], 1)"])
def test_what_takes_too_long_dies(statement):
    """In C code that does not return to the interpreter, and while waiting."""
    done = run_limited(statement, seconds=0.2)
    assert done.returncode == -signal.SIGALRM
    failure = failure_of_worker(f"worker died: signal {-done.returncode} (SIGALRM)")
    assert failure.kind == Kind.TIMED_OUT and "max_seconds" in failure.text


def test_memory_is_refused_and_both_limits_are_removed_afterwards():
    """So that the executor finds the process as it was."""
    assert run_limited("bytearray(500_000_000)").stdout == "-1 0.0\n"
    assert run_limited("bytearray(2_000_000_000)").stdout == "MemoryError\n-1 0.0\n"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("PictureError(failures.empty_file())", "PictureError\n-1 0.0\n"),
        ("MemoryLimitError(failures.out_of_memory('decode it'))", "MemoryLimitError\n2000000000 0.0\n"),
    ],
)
def test_a_process_that_refused_memory_to_a_picture_shows_it(error, expected):
    """By a limit that stays: the executor replaces such a process, and must not replace any other."""
    assert run_limited(f"raise {error}").stdout == expected


def test_a_limit_from_outside_is_never_raised():
    statement = "print(resource.getrlimit(resource.RLIMIT_DATA)[0])"
    before = "import resource; resource.setrlimit(resource.RLIMIT_DATA, (700_000_000, 800_000_000))\n"
    program = (
        f"{before}from thumbmill.run.limits import limited\nwith limited(60, 1_000):\n    {statement}\n{statement}\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.stdout == "700000000\n700000000\n", done.stderr


def test_a_thread_is_not_limited():
    """Its limits would be those of the whole process."""
    program = (
        "import threading, time\n"
        "from thumbmill.run.limits import limited\n"
        "def work():\n    with limited(0.1, 1):\n        bytearray(300_000_000)\n        time.sleep(0.3)\n"
        "        print('done')\n"
        "thread = threading.Thread(target=work)\nthread.start()\nthread.join()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "done\n")


# Pictures


def flat(format: str, side: int) -> bytes:
    """Return a black square picture."""
    content = io.BytesIO()
    if format == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    options = {"progressive": True} if format == "JPEG" else {}
    Image.new("RGB", (side, side)).save(content, format, **options)
    return content.getvalue()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", pytest.param("HEIF", marks=pytest.mark.slow)])
def test_a_picture_that_lacks_memory_says_so_whatever_its_decoder_says(format, tmp_path):
    """Some decoders then call a sound picture damaged; `damaged: make` must not make a black one of it."""
    path, target = tmp_path / "x", tmp_path / "t.webp"
    path.write_bytes(flat(format, side=3_000))
    thumbnails = f"[Thumbnail({str(target)!r}, {SMALL!r}, 'webp')]"
    make = f"print(make_thumbnails({str(path)!r}, {thumbnails}, quality={{'webp': 80}}, damaged='make'))"
    outcomes = []
    for megabytes in (25, 50, 90, 400):
        target.unlink(missing_ok=True)
        done = run_limited(make, megabytes=megabytes)
        outcomes.append(done.stdout.partition("\n")[0])
        assert outcomes[-1] in ("[]", "MemoryLimitError"), done
        assert target.exists() == (outcomes[-1] == "[]")
    assert "MemoryLimitError" in outcomes
    assert outcomes[-1] == "[]"


@pytest.mark.parametrize("shape", [(10_000_000, 1), (1, 10_000_000)])
def test_a_picture_of_one_row_needs_no_memory_for_its_weights(shape, tmp_path):
    """32 bytes for each pixel of the long side, if each had a weight of its own."""
    path = tmp_path / "x.png"
    path.write_bytes(png(*shape, 8, 0, bytes(shape[0])))
    thumbnails = f"[Thumbnail({str(tmp_path / 't')!r}, {SMALL!r}, 'jpeg')]"
    make = f"make_thumbnails({str(path)!r}, {thumbnails}, quality={{'jpeg': 80}})"
    assert run_limited(make, megabytes=250).stdout == "-1 0.0\n"


@pytest.mark.parametrize("content", [jpeg_header(100, 100), png(60, 60, 8, 2, b"")[:33] + chunk(b"IDAT", b"")])
def test_damage_is_still_damage_under_a_limit(content, tmp_path):
    """A small picture does not lack memory."""
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    make = f"make_thumbnails({str(path)!r}, [Thumbnail('t', {SMALL!r}, 'jpeg')], quality={{'jpeg': 80}})"
    assert run_limited(make).stdout == "PictureError\n-1 0.0\n"
