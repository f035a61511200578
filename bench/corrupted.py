"""One picture in the middle of many is cut short: who stops, who says so, who makes the others all the same."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from bench import contenders, measure
from bench.contenders import Contender, Task
from bench.pictures import Corpus, middle


def run_corrupted(
    chosen: Mapping[str, Contender | str], template: Task, corpus: Corpus, limit: float
) -> dict[str, dict]:
    """Run each of the `chosen` once, for at most `limit` seconds. Returns what came of it.

    That is, for each: exit code, how many of the sound pictures have a thumbnail (of how many), whether the damaged one
    has, whether what was printed singles it out, seconds. Or why there is nothing to tell: "skipped" or "over".
    """
    damaged = middle(corpus.names)
    sound = next(name for name in corpus.names if name != damaged)
    results = {}
    for name, contender in chosen.items():
        result = {"title": contenders.CONTENDERS[name].title}
        results[name] = result
        if isinstance(contender, str):
            result["skipped"] = contender
            continue
        print(f"{name} ...", end=" ", file=sys.stderr, flush=True)
        task = template._replace(folder=os.path.join(template.folder, name))
        os.makedirs(task.folder)
        log = f"{task.folder}.log"
        try:
            measured = measure.run(contender.command(task), task.folder, log, contenders.TIMES, limit)
        except measure.TookTooLong:
            result["over"] = limit
            print(f"over {limit:g} s", file=sys.stderr)
            continue
        thumbnail = {
            picture: os.path.join(contenders.output_folder(task), contender.naming(picture)) for picture in corpus.names
        }
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
    """Whether the picture `damaged` occurs in more of the lines `printed` than the `sound` one: some name them all."""
    damaged, sound = (sum(Path(name).stem in line for line in printed.splitlines()) for name in (damaged, sound))
    return damaged > sound


def is_whole(path: str) -> bool:
    """Whether the file `path` is a JPEG that can be decoded."""
    try:
        with Image.open(path, formats=["JPEG"]) as thumbnail:
            thumbnail.load()
    except (OSError, SyntaxError):
        return False
    return True
