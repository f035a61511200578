"""One picture in the middle of many is truncated: who stops, who reports it, who makes the others nevertheless."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from bench import measure
from bench.contenders import CONTENDERS
from bench.corpus import Corpus, middle
from bench.task import TIMES, Contender, Task, output_folder


def run_corrupted(
    chosen: Mapping[str, Contender | str], template: Task, corpus: Corpus, limit: float
) -> dict[str, dict]:
    """Run each of the `chosen` once, for at most `limit` seconds, and return what came of it.

    For each: exit code, how many of the sound pictures have a thumbnail (of how many), whether the damaged one has,
    whether the output singles it out, seconds. Or why there is none of this: "skipped" or "over".
    """
    damaged = middle(corpus.names)
    sound = next(name for name in corpus.names if name != damaged)
    results = {}
    for name, contender in chosen.items():
        result = {"title": CONTENDERS[name].title}
        results[name] = result
        if isinstance(contender, str):
            result["skipped"] = contender
            continue
        print(f"{name} ...", end=" ", file=sys.stderr, flush=True)
        task = template._replace(folder=os.path.join(template.folder, name))
        os.makedirs(task.folder)
        log = f"{task.folder}.log"
        try:
            measured = measure.run(contender.command(task), task.folder, log, TIMES, limit)
        except measure.TookTooLong:
            result["over"] = limit
            print(f"over {limit:g} s", file=sys.stderr)
            continue
        thumbnail = {picture: os.path.join(output_folder(task), contender.naming(picture)) for picture in corpus.names}
        result |= {
            "code": measured.code,
            "made": sum(is_whole(thumbnail[picture]) for picture in corpus.names if picture != damaged),
            "of": len(corpus.names) - 1,
            "damaged_made": os.path.exists(thumbnail[damaged]),
            "named": is_singled_out(damaged, sound, Path(log).read_text(errors="replace")),
            "wall": measured.wall,
        }
        results[name] = result
        print(f"exit code {measured.code}, {result['made']} of {result['of']} others", file=sys.stderr)
    return results


def is_singled_out(damaged: str, sound: str, printed: str) -> bool:
    """Whether more of the lines `printed` name the picture `damaged` than the `sound` one: some tools name them all."""
    lines = printed.splitlines()
    damaged_lines, sound_lines = (sum(Path(name).stem in line for line in lines) for name in (damaged, sound))
    return damaged_lines > sound_lines


def is_whole(path: str) -> bool:
    """Whether the file `path` is a JPEG that can be decoded."""
    try:
        with Image.open(path, formats=["JPEG"]) as thumbnail:
            thumbnail.load()
    except (OSError, SyntaxError):
        return False
    return True
