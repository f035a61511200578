"""Who is compared, in tables: the loops, thumbmill, Snakemake as it comes, and the other tools."""

import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from bench import peers, tools
from bench.peers import stem_name
from bench.task import REPOSITORY, Contender, Task, output_folder
from bench.timed_loops import loop_command


def workflow(*options: str) -> Callable[[Task], list[str]]:
    """Return the command `snakemake` on thumbmill's Snakefile, with `options`."""

    def command(task: Task) -> list[str]:
        settings = {
            "source": task.source,
            "output": "thumbnails",
            "sizes": {"thumb": None}
            | {str(box): {"width": box, "height": box, "fit": "contain"} for box in task.boxes},
            "format": "jpeg",
            "quality": {"jpeg": task.quality},
            "keep_extension": True,
        }
        file = Path(task.folder, "settings.json")
        file.write_text(json.dumps(settings))
        snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
        return [*snakemake, "--cores", str(task.cores), "--configfile", str(file), *options]

    return command


def loop_that_checks(task: Task) -> list[str]:
    """Return the command for the plain loop that looks at modification times first."""
    program = str(REPOSITORY / "bench/loops.py")
    numbers = [str(number) for number in (task.boxes[0], task.quality, task.cores)]
    return [sys.executable, program, task.source, output_folder(task), *numbers]


POOLS = {"sequential": "sequential", "threads": "ThreadPoolExecutor", "processes": "ProcessPoolExecutor"}

# A controller and a worker for each core: does a second controller pay?
SHARDS = ("--workflow-profile", str(REPOSITORY / "profiles/manycore"), "--set-threads", "shard=1")

PLAIN_LOOPS = {kind: Contender(f"plain loop, {pool}", loop_command(kind, "plain")) for kind, pool in POOLS.items()}
OWN_LOOPS = {
    f"own-{kind}": Contender(f"loop over thumbmill's function, {pool}", loop_command(kind, "own"), extra=True)
    for kind, pool in POOLS.items()
}
WORKFLOWS = {
    "thumbmill": Contender("thumbmill", workflow()),
    "thumbmill-threads": Contender("thumbmill --pool-kind thread", workflow("--pool-kind", "thread"), extra=True),
    "thumbmill-shards": Contender("thumbmill, shards of 5,000 with a core each", workflow(*SHARDS), extra=True),
    "stock": Contender("stock Snakemake, `script:`", workflow("--workflow-profile", "none", "--keep-going"), 1000),
}
PEERS = {
    "stock-shell": Contender(
        "stock Snakemake, `shell:` vipsthumbnail", peers.stock_shell, 1000, ("vips",), plain_names=True
    ),
    "make": Contender("GNU make, thumbmill's function", peers.make, 1000, ("make",), plain_names=True),
    "make-vips": Contender("GNU make, vipsthumbnail", peers.make_with_vips, 10_000, ("make", "vips"), plain_names=True),
    "vips": Contender("vipsthumbnail, one process", peers.vips, None, ("vips",), stem_name),
    "vips-parallel": Contender(
        "vipsthumbnail under GNU parallel", peers.vips_parallel, None, ("vips", "parallel"), stem_name
    ),
    "mogrify": Contender("ImageMagick mogrify, xargs -P", peers.mogrify, None, ("mogrify",), stem_name),
    "gm": Contender("GraphicsMagick mogrify, xargs -P", peers.gm, None, ("gm",), stem_name),
    "sharp": Contender("sharp, bench/sharp.js", peers.sharp, None, ("sharp",)),
    "sigal": Contender("sigal, without pages", peers.sigal, None, ("sigal",), stem_name, max_sizes=1),
}
CONTENDERS = PLAIN_LOOPS | OWN_LOOPS | WORKFLOWS | PEERS

# Reruns, when little has changed (rerun.py). All take over the thumbnails that thumbmill made, and the workflows
# Snakemake's records with them.
RERUNS = {
    "loop-mtime": Contender("plain loop, ProcessPoolExecutor, for what is missing or older", loop_that_checks),
    "make": PEERS["make"]._replace(max_pictures=None),
    "stock": WORKFLOWS["stock"]._replace(max_pictures=None),
    "thumbmill": WORKFLOWS["thumbmill"],
    "thumbmill-all": Contender("thumbmill, nothing skipped", workflow("--config", "skip_unchanged=false")),
}


def find_obstacle(contender: Contender, task: Task, names: list[str]) -> str | None:
    """Return why a `contender` cannot make the thumbnails of the pictures `names` at all; None if it can."""
    missing = tools.find_missing(contender.needs, task.tools)
    if missing:
        return missing
    if contender.max_sizes is not None and len(task.boxes) > contender.max_sizes:
        return f"it makes no more than {contender.max_sizes} size in a run"
    if contender.plain_names and (reason := find_unwritable([task.source, task.folder, *names])):
        return reason
    doubles = len(names) - len({contender.naming(name) for name in names})
    return f"{doubles:,} thumbnails would have the name of another one: it drops the extension" if doubles else None


def find_unwritable(paths: Iterable[str]) -> str | None:
    """Return which of the `paths` a Makefile or a shell command cannot hold; None if it can hold all."""
    # Blanks end a name in a Makefile; other characters mean something to it or to the shell.
    bad = [path for path in paths if not re.fullmatch(r"[\w./+-]+", path)]
    return f"{len(bad):,} of the names cannot be written in a Makefile (the first: {bad[0]!r})" if bad else None


def names_in_turn(names: list[str], shift: int) -> list[str]:
    """Return `names`, each `shift` places earlier, so that none is always the first or always after the same one."""
    shift %= max(1, len(names))
    return names[shift:] + names[:shift]
