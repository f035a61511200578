"""What a user could pick instead of thumbmill, each in its best ordinary use.

All make the same sizes: JPEG of the same quality, chroma at half resolution, neither optimized Huffman tables nor
progressive, upright, never enlarged, without metadata.
"""

import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from bench.loops import list_files
from bench.task import Task
from bench.tools import find_tool, package_folder

HERE = Path(__file__).parent
MAX_BATCH = 20  # pictures for one process, if several share the work: its start then hardly counts


def stem_name(name: str) -> str:
    """Return the thumbnail of the picture `name` if a tool replaces the extension."""
    return f"{os.path.splitext(name)[0]}.jpg"


def quote(*words: object) -> str:
    """Return `words` as a shell reads them."""
    return shlex.join(map(str, words))


def by_folder(task: Task, each: Callable[[int, str], str]) -> list[str]:
    """Return the command for a shell script that calls `each` (pixels, output folder) for every size and folder.

    The names of the folder's pictures, each ended by a zero byte, go to its standard input. The script's exit code is
    the last one that was not 0.
    """
    folders = sorted({os.path.dirname(name) for name in list_files(task.source)})
    lines = ["code=0"]
    for box in task.boxes:
        for folder in folders:
            output = os.path.join(task.folder, "thumbnails", str(box), folder)
            lines += [quote("mkdir", "-p", output), quote("cd", os.path.join(task.source, folder))]
            lines += [f"find . -maxdepth 1 -type f -print0 | {each(box, output)} || code=$?"]
    script = Path(task.folder, "peer.sh")
    script.write_text("\n".join([*lines, "exit $code", ""]))
    return ["sh", str(script)]


def batch(task: Task) -> int:
    """Return how many pictures each process gets if several share the work: few enough to keep all cores busy."""
    return max(1, min(MAX_BATCH, len(list_files(task.source)) // (4 * task.cores)))


def vips_command(task: Task, box: int, target: str) -> list[str]:
    """Return vipsthumbnail with its options. In `target`, %s is the picture's name without its extension."""
    program = find_tool("vips", task.tools)
    return [program, "--size", f"{box}x{box}>", "--output", f"{target}[Q={task.quality},strip]"]


def vips(task: Task) -> list[str]:
    """Return the command for vipsthumbnail: one process for all pictures of a folder, whose threads share each one."""

    def each(box: int, output: str) -> str:
        return quote("xargs", "-0", *vips_command(task, box, f"{output}/%s.jpg"), f"--vips-concurrency={task.cores}")

    return by_folder(task, each)


def vips_parallel(task: Task) -> list[str]:
    """Return the command for vipsthumbnail under GNU parallel: a process per core, a batch of pictures at a time."""
    parallel = [find_tool("parallel", task.tools), "--will-cite", "-0", "-q", "-j", task.cores, "-n", batch(task)]

    def each(box: int, output: str) -> str:
        return quote(*parallel, *vips_command(task, box, f"{output}/%s.jpg"), "--vips-concurrency=1")

    return by_folder(task, each)


def mogrify(task: Task) -> list[str]:
    """Return the command for ImageMagick's mogrify: a process for each core, a batch of pictures at a time."""
    program = find_tool("mogrify", task.tools)
    # The hint makes libjpeg decode no more than twice the size, as ImageMagick's documentation advises. One thread for
    # each process: more would only compete for the cores.
    shared = ["xargs", "-0", "-P", task.cores, "-n", batch(task), "env", "MAGICK_THREAD_LIMIT=1", program]
    encoder = ["-quality", task.quality, "-sampling-factor", "4:2:0", "-define", "jpeg:optimize-coding=false"]

    def each(box: int, output: str) -> str:
        scale = ["-define", f"jpeg:size={2 * box}x{2 * box}", "-auto-orient", "-thumbnail", f"{box}x{box}>", "-strip"]
        return quote(*shared, *scale, *encoder, "-format", "jpg", "-path", output)

    return by_folder(task, each)


def gm(task: Task) -> list[str]:
    """Return the command for GraphicsMagick's mogrify: as ImageMagick's, with other names for the options."""
    shared = [
        "xargs",
        "-0",
        "-P",
        task.cores,
        "-n",
        batch(task),
        "env",
        "OMP_NUM_THREADS=1",
        find_tool("gm", task.tools),
    ]
    encoder = ["-quality", task.quality, "-sampling-factor", "2x2", "-define", "jpeg:optimize-coding=false"]

    def each(box: int, output: str) -> str:
        scale = ["-size", f"{2 * box}x{2 * box}", "-auto-orient", "-thumbnail", f"{box}x{box}>", "+profile", "*"]
        return quote(*shared, "mogrify", *scale, *encoder, "-format", "jpg", "-output-directory", output)

    return by_folder(task, each)


def sharp(task: Task) -> list[str]:
    """Return the command for sharp in Node: bench/sharp.js, one picture at a time for each core."""
    package = package_folder("sharp", task.tools)
    return [find_tool("sharp", task.tools), str(HERE / "sharp.js"), package, json.dumps(task._asdict())]


def sigal(task: Task) -> list[str]:
    """Return the command for sigal, a generator of galleries, set up to make the pictures and no pages."""
    box = task.boxes[0]
    settings = {
        "source": task.source,
        "destination": os.path.join(task.folder, "thumbnails", str(box)),
        "img_size": (box, box),
        "img_format": "JPEG",
        "img_extensions": [".jpg", ".jpeg", ".png", ".gif", ".heic", ".tif", ".tiff", ".webp", ".bmp", ".avif"],
        "jpg_options": {"quality": task.quality},
        "make_thumbs": False,
        "write_html": False,
    }
    file = Path(task.folder, "sigal.conf.py")
    file.write_text("".join(f"{name} = {value!r}\n" for name, value in settings.items()))
    return [find_tool("sigal", task.tools), "build", "--config", str(file), "--ncpu", str(task.cores)]


def make(task: Task, with_vips: bool = False) -> list[str]:
    """Return the command for GNU make on bench/Makefile: one process per picture, thumbmill's or vipsthumbnail."""
    variables = {
        "PYTHON": sys.executable,
        "REPOSITORY": HERE.parent,
        "SOURCE": task.source,
        "BOXES": " ".join(map(str, task.boxes)),
        "QUALITY": task.quality,
    }
    if with_vips:
        variables["VIPSTHUMBNAIL"] = find_tool("vips", task.tools)
    settings = [f"{name}={value}" for name, value in variables.items()]
    program = find_tool("make", task.tools)
    return [program, "-f", str(HERE / "Makefile"), f"-j{task.cores}", "--keep-going", *settings]


def make_with_vips(task: Task) -> list[str]:
    """Return the command for GNU make with vipsthumbnail."""
    return make(task, with_vips=True)


def stock_shell(task: Task) -> list[str]:
    """Return the command for stock Snakemake on bench/shell.smk, whose rule calls vipsthumbnail."""
    file = Path(task.folder, "settings.json")
    file.write_text(json.dumps({**task._asdict(), "vipsthumbnail": find_tool("vips", task.tools)}))
    snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(HERE / "shell.smk"), "--configfile", str(file)]
    return [*snakemake, "--cores", str(task.cores), "--keep-going"]
