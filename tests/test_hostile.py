"""Hostile files: refused or failed alone, within a time and a memory, and nothing of them is ever executed."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from scripts.container import memory, worker_memory
from scripts.report import explain_death
from scripts.thumbnail import PictureError, Thumbnail, make_thumbnails, webp_size
from tests.conftest import REPOSITORY, Shop
from tests.test_thumbnail import jpeg_header
from tests.test_workflow import copy_workflow
from tests.trials import fuzz, hostile

# What takes seconds, to make or to decode.
SLOW = {
    "bomb-interlaced.png", "bomb.gif", "bomb-deflate.tif", "bomb-lzw.tif", "bomb.webp", "bomb.avif", "bomb.heic",
    "bomb-wide.png", "bomb-high.png", "bomb-frame.webp", "scans.jpg", "million-frames-animated.gif", "frames.png",
    "frames.webp", "profiles.png", "small-chunks.png", "segments.jpg", "exif-segments.jpg", "text-bomb.png",
    "profile-bomb.png",
}  # fmt: skip

SIZE = {"width": 64, "height": 64, "fit": "contain"}


# Each file


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in hostile.FILES]
)
def test_each_is_made_or_refused_within_the_limits(name, tmp_path):
    """The real file, in a process of its own, which a crash or a hang would end."""
    file = hostile.FILES[name]
    path = tmp_path / name
    path.write_bytes(file.content())
    cost = hostile.measure(path, settings := hostile.settings_of(file))
    assert cost.outcome.startswith(file.expected)
    assert cost.megabytes <= settings["worker_memory"] + 100  # of which 70 are the interpreter and its libraries
    thumbnails = [f"{name}.thumb-{format}" for format in settings["format"]]
    assert sorted(os.listdir(tmp_path)) == sorted([name, *(thumbnails if cost.outcome == "made" else [])])


def test_no_file_starts_a_program(tmp_path):
    """An audit hook sees each start of a program or a process, however it comes about, and each connection."""
    paths = []
    for name in hostile.FILES.keys() - SLOW:
        paths.append(tmp_path / name)
        paths[-1].write_bytes(hostile.FILES[name].content())
    program = (
        "import sys\n"
        "from scripts.thumbnail import PictureError, Thumbnail, make_thumbnails\n"
        "starts = ('subprocess.', 'os.exec', 'os.posix_spawn', 'os.spawn', 'os.fork', 'os.system', 'pty.', 'socket.')\n"
        "seen = []\n"
        "sys.addaudithook(lambda event, args: seen.append(event) if event.startswith(starts) else None)\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n"
        f"        make_thumbnails(path, [Thumbnail(path + '.out', {SIZE!r}, 'jpeg')], quality={{'jpeg': 80}})\n"
        "    except PictureError:\n"
        "        pass\n"
        "print(seen)\n"
        "__import__('os').system('true')\n"
        "print(seen)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, *paths], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["[]", "['os.system']"], done.stderr  # the second: that it would have been seen


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_what_is_no_file_is_never_opened(kind, tmp_path):
    """To open a pipe without a writer would wait for ever."""
    path = tmp_path / "x.jpg"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(path))
        listening.close()
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(PictureError, match="not a file: a pipe, a socket or a device"):
        make_thumbnails(str(path), [Thumbnail(str(tmp_path / "t.jpg"), SIZE, "jpeg")], quality={"jpeg": 80})


# The limits


def run_limited(statement: str, seconds: float = 60, megabytes: int = 1_000) -> subprocess.CompletedProcess:
    """Run a statement under limits, in a process of its own, which then prints the limit on its memory."""
    program = (
        "import resource, signal, threading\n"
        "from scripts.thumbnail import *\n"
        f"try:\n    with limited({seconds}, {megabytes}):\n        {statement}\n"
        "except (MemoryError, PictureError) as error:\n    print(type(error).__name__)\n"
        "print(resource.getrlimit(resource.RLIMIT_DATA)[0], signal.getitimer(signal.ITIMER_REAL)[0])\n"
    )
    return subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("statement", ["re.match('(a*)*b', 'a' * 40)", "os.read(os.pipe()[0], 1)"])
def test_what_takes_too_long_dies(statement):
    """In C code that never comes back to the interpreter, and in waiting."""
    done = run_limited(f"import re; {statement}", seconds=0.2)
    assert done.returncode == -signal.SIGALRM
    assert "max_seconds" in explain_death(f"worker died: signal {-done.returncode} (SIGALRM)")


def test_memory_is_refused_and_the_limits_are_taken_back():
    """So that an executor finds the process as it was."""
    assert run_limited("bytearray(500_000_000)").stdout == "-1 0.0\n"
    assert run_limited("bytearray(2_000_000_000)").stdout == "MemoryError\n-1 0.0\n"


def test_the_executor_replaces_a_process_that_was_refused_memory_for_a_picture_and_no_other():
    """It goes by what a process cannot undo, and that must be the same after each other picture."""
    program = (
        "from scripts.thumbnail import *\n"
        "from snakemake_executor_plugin_pool.isolation import irrevocable_state\n"
        "before = irrevocable_state()\n"
        "for error in (PictureError('x'), MemoryShort('x')):\n"
        "    try:\n        with limited(60, 1_000):\n            raise error\n"
        "    except PictureError:\n        print(irrevocable_state() == before)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.stdout == "True\nFalse\n", done.stderr


def test_a_thread_is_not_limited():
    """Its limits would be those of the whole run."""
    program = (
        "import threading, time\n"
        "from scripts.thumbnail import limited\n"
        "def work():\n    with limited(0.1, 1):\n        bytearray(300_000_000)\n        time.sleep(0.3)\n"
        "        print('done')\n"
        "thread = threading.Thread(target=work)\nthread.start()\nthread.join()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "done\n")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", pytest.param("HEIF", marks=pytest.mark.slow)])
@pytest.mark.parametrize("megabytes", [80, 90, 110, 130, 160])
def test_a_picture_that_lacks_memory_says_so_whatever_its_decoder_says(format, megabytes, tmp_path):
    """Some decoders call a sound picture damaged then; `damaged: make` must not make a black one of it."""
    path, target = tmp_path / "x", tmp_path / "t.webp"
    options = {"progressive": True} if format == "JPEG" else {}
    path.write_bytes(hostile.flat(format, side=3_000, **options))
    thumbnails = f"[Thumbnail({str(target)!r}, {SIZE!r}, 'webp')]"
    make = f"print(make_thumbnails({str(path)!r}, {thumbnails}, quality={{'webp': 80}}, damaged='make'))"
    done = run_limited(make, megabytes=megabytes)
    assert done.stdout.splitlines()[0] in ("[]", "MemoryShort"), done
    assert target.exists() == (done.stdout.splitlines()[0] == "[]")


@pytest.mark.parametrize("shape", [(10_000_000, 1), (1, 10_000_000)])
def test_a_picture_of_one_row_needs_no_memory_for_its_weights(shape, tmp_path):
    """32 bytes for each pixel of the long side, if they were weighed one by one."""
    path = tmp_path / "x.png"
    path.write_bytes(hostile.flat_png(*shape))
    thumbnails = f"[Thumbnail({str(tmp_path / 't')!r}, {SIZE!r}, 'jpeg')]"
    make = f"make_thumbnails({str(path)!r}, {thumbnails}, quality={{'jpeg': 80}})"
    assert run_limited(make, megabytes=250).stdout == "-1 0.0\n"


def test_damage_is_still_damage_under_a_limit(tmp_path):
    """A small picture does not lack memory."""
    path = tmp_path / "x.jpg"
    path.write_bytes(jpeg_header(100, 100))
    make = f"make_thumbnails({str(path)!r}, [Thumbnail('t', {SIZE!r}, 'jpeg')], quality={{'jpeg': 80}})"
    assert run_limited(make).stdout.startswith("PictureError\n")


@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}])
def test_the_size_of_a_webp(options, tmp_path):
    """As Pillow reads it, from each of the three kinds of header."""
    path = tmp_path / "x.webp"
    Image.new("RGB", (321, 1234)).save(path, **options)
    assert webp_size(path.read_bytes()[:30]) == (321, 1234)
    assert webp_size(b"RIFF") is None


def test_a_worker_gets_its_share_at_most():
    share = memory() * 3 // 4 // 2 // 1_000_000
    assert worker_memory(10**9, 2) == share
    assert worker_memory(100, 2) == 100
    assert memory() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("group", "files"),
    [
        ("0::/a/b\n", {"sys/fs/cgroup/a/memory.max": "123\n", "sys/fs/cgroup/a/b/memory.max": "max\n"}),
        ("0::/\n", {"sys/fs/cgroup/memory.max": "123\n"}),
        ("0::/only/the/host/knows\n", {"sys/fs/cgroup/memory.max": "123\n"}),
        ("8:cpu,memory:/x\n0::/\n", {"sys/fs/cgroup/memory/x/memory.limit_in_bytes": "123\n"}),
    ],
)
def test_the_memory_of_a_container(group, files, tmp_path):
    for name, content in {"proc/self/cgroup": group, **files}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert memory(str(tmp_path)) == 123


# Fuzzing


def test_mutated_pictures_are_made_whole_or_refused():
    """A few hundred; python -m tests.trials.fuzz goes on for minutes."""
    results, peak = fuzz.fuzz(range(300), 8, [])
    assert [result for result in results if result.finding] == []
    assert 50 < sum(result.outcome == "made" for result in results) < 250
    assert 0 < peak < fuzz.MEGABYTES


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("os.kill(os.getpid(), 11)", "crash: exit code -11"),
        ("signal.setitimer(signal.ITIMER_REAL, 0.1); time.sleep(9)", "hang"),
        ("raise KeyError('x')", "KeyError:"),
        ("raise PictureError('two\\nlines')", "a reason that is not one line"),
        ("open(wanted[0].path + '.part', 'w')", "files ["),
    ],
)
def test_the_fuzzer_finds(fault, expected, tmp_path):
    """Each kind of finding, put into the picture function of a copy; and it goes on after it."""
    for folder in ("scripts", "tests"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    script = tmp_path / "tests/trials/fuzz.py"
    text = script.read_text()
    call = '            make_thumbnails(str(folder / "source")'
    assert text.count(call) == 1
    script.write_text(text.replace(call, f"            if number == 1:\n                {fault}\n{call}"))
    command = [sys.executable, "-c", "from tests.trials import fuzz; print(fuzz.fuzz(range(3), 8, [])[0])"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    kinds = re.findall(r"Ended\(number=(\d), outcome=(.*?), finding=(True|False)", done.stdout)
    assert [(number, finding) for number, _, finding in kinds] == [("0", "False"), ("1", "True"), ("2", "False")], done
    assert expected in kinds[1][1]


def test_what_is_no_whole_thumbnail(tmp_path):
    path = tmp_path / "t.png"
    Image.new("RGB", (65, 64), "red").save(path)
    assert "is larger than" in fuzz.not_whole(path, SIZE, "png")
    assert fuzz.not_whole(path, {**SIZE, "width": 65}, "webp") == "PNG instead of webp"
    assert fuzz.not_whole(path, {**SIZE, "width": 65}, "png") == ""
    path.write_bytes(path.read_bytes()[:-30])
    assert fuzz.not_whole(path, {**SIZE, "width": 65}, "png").startswith("a thumbnail that cannot be read")


# The whole flow

FAULTS = """
import ctypes
_make_as_set = make_as_set
def make_as_set(source, paths, config):
    if "hang" in source:
        import re
        re.match("(a*)*b", "a" * 40)
    if "crash" in source:
        ctypes.string_at(0)
    if "greedy" in source:
        try:
            bytearray(10**12)
        except MemoryError as error:
            raise MemoryShort("not enough memory to decode it") from error
    return _make_as_set(source, paths, config)
if "snakemake" in globals():
"""


def break_script(shop: Shop, tmp_path: Path) -> None:
    """Let the shop run a copy of the workflow whose picture script meets faults that no real file is known to cause."""
    shop.workflow = copy_workflow(tmp_path / "checkout")
    script = shop.workflow / "scripts/thumbnail.py"
    text = script.read_text()
    assert text.count('if "snakemake" in globals():\n') == 1
    script.write_text(text.replace('if "snakemake" in globals():\n', FAULTS))


@pytest.mark.slow
@pytest.mark.parametrize("executor", [(), ("--workflow-profile", "none")])
def test_hang_crash_and_greed_fail_alone(small_shop, tmp_path, executor):
    """Each with its reason; the others are made, and the same command mends what can be mended."""
    break_script(small_shop, tmp_path)
    for name in ("hang.jpg", "crash.jpg", "greedy.jpg"):
        small_shop.picture(name)
    options = ["--config", "max_seconds=10", *executor, *(["--keep-going"] if executor else [])]
    run = small_shop.run(*options)
    assert run.code == 1
    assert small_shop.files("thumbnails/thumb") == {"a.jpg", "b.jpg", "sub/c.jpg"}
    failures = small_shop.failures()
    assert set(failures) == {"images/hang.jpg", "images/crash.jpg", "images/greedy.jpg"}
    assert "a worker may use" in failures["images/greedy.jpg"]
    assert "max_memory" in failures["images/greedy.jpg"] or "--cores" in failures["images/greedy.jpg"]
    assert "max_seconds" in failures["images/hang.jpg"]
    if not executor:
        assert failures["images/crash.jpg"].startswith("its decoder crashed, signal 11 (SIGSEGV)")

    small_shop.workflow = REPOSITORY
    assert small_shop.run("retry").code == 0
    assert small_shop.failures() == {}


def test_limits_decide_no_pixel(small_shop):
    """Another limit makes nothing again."""
    small_shop.run()
    assert small_shop.run("--config", "max_seconds=7", "max_memory=700").jobs == set()


def test_a_picture_that_needs_more_memory_fails_alone(shop):
    """And its reason names the limit and the setting."""
    for number in range(4):
        shop.picture(f"{number}.png")
    (shop.folder / "images/large.png").write_bytes(hostile.flat_png(12_000, 12_000))
    run = shop.run("--config", "max_memory=100", "--cores", "1")
    assert set(shop.failures()) == {"images/large.png"}
    assert "a worker may use 100 MB (raise max_memory)" in shop.failures()["images/large.png"]
    assert len(shop.files("thumbnails/thumb")) == 4
    assert run.code == 1


NAMES = [
    "$(touch executed).jpg",
    "`touch executed`.jpg",
    "; touch executed ;.jpg",
    "| touch executed.jpg",
    "&& touch executed &&.jpg",
    "' ; touch executed ; '.jpg",
    '" ; touch executed ; ".jpg',
    "-rf.jpg",
    "--config=executed.jpg",
    "line\nbreak; touch executed.jpg",
    "..jpg",
    "... .jpg",
    "%2e%2e%2fexecuted.jpg",
    "~root.jpg",
    "*.jpg",
    "a\\..\\b.jpg",
    "{workflow.basedir}.jpg",
    "$HOME.jpg",
    "x > executed.jpg",
]


def test_names_and_metadata_reach_no_shell_and_no_path(shop):
    """Everything is made under its own name, and beside it nothing: neither by a name, nor by what EXIF or ICC say."""
    text = "$(touch executed); touch executed; ../../../executed\n"
    exif = Image.Exif()
    for tag in (0x010D, 0x010E, 0x010F, 0x0110, 0x0131, 0x013B, 0x8298, 0x9C9B):  # names, descriptions, makers
        exif[tag] = text
    profile = b"\0\0\2\0" + text.encode() * 20
    for name in NAMES:
        Image.new("RGB", (20, 20)).save(
            shop.folder / "images" / name, "JPEG", exif=exif, comment=text, icc_profile=profile
        )
    (shop.folder / "images/$(touch executed)").mkdir()
    Image.new("RGB", (20, 20)).save(shop.folder / "images/$(touch executed)/a.jpg")
    before = {*os.listdir(shop.folder.parent)}
    run = shop.run("--config", "keep_extension=true")
    made = {name for name in NAMES if not name.startswith(".")} | {"$(touch executed)/a.jpg"}
    assert shop.files("thumbnails/thumb") == {f"{name}.jpg" for name in made}, run.text
    everywhere = shop.files(".")
    assert not [path for path in everywhere if re.fullmatch(r"(.*/)?executed", path)]
    assert {*os.listdir(shop.folder.parent)} == before
    assert {*os.listdir(shop.folder)} <= {"images", "thumbnails", "logs", ".snakemake", ".profile"}


def test_links_are_followed_and_what_is_no_picture_is_refused(shop, tmp_path_factory):
    """The stated rule: wherever a link leads, a picture is read, and nothing else is shown to anyone."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    Image.new("RGB", (20, 20), "red").save(elsewhere / "a.jpg")
    (shop.folder / "images/picture.jpg").symlink_to(elsewhere / "a.jpg")
    (shop.folder / "images/folder").symlink_to(elsewhere)
    (shop.folder / "images/secret.jpg").symlink_to("/etc/passwd")
    (shop.folder / "images/device.jpg").symlink_to("/dev/zero")
    os.mkfifo(shop.folder / "images/pipe.jpg")
    (shop.folder / "images/folder.jpg").mkdir()
    run = shop.run()
    assert shop.files("thumbnails/thumb") == {"picture.jpg", "folder/a.jpg"}
    assert list(shop.failures()) == ["images/secret.jpg"]
    assert shop.failures()["images/secret.jpg"].startswith("not a picture")
    assert "root:" not in run.text
