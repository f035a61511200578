"""thumbmill's thumbnails beside a full decode with Lanczos and beside libvips: how alike, how fast, how much memory.

    pip install '.[quality]'
    python -m bench.quality likeness

prints a Markdown table. See --help for the other comparisons.
"""

import argparse
import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bench.corpus import WALLPAPERS
from bench.quality.photographs import choose_photographs

NEEDS = ("numpy", "skimage")  # and libvips, which makers.import_vips looks for


class Subject(NamedTuple):
    """What can be compared."""

    run: Callable[[argparse.Namespace], None]
    help: str


def run_likeness(options: argparse.Namespace) -> None:
    """Print the table of likeness."""
    from bench.quality.charts import make_charts
    from bench.quality.likeness import print_likeness

    photos = choose_photographs(options.pictures, options.count)
    print_likeness({f"of {folder}": paths for folder, paths in photos.items()}, make_charts(options.work))


def run_scales(options: argparse.Namespace) -> None:
    """Print the table of the JPEG decoder's scales."""
    from bench.quality.scales import print_scales

    print_scales(all_photographs(options))


def run_time(options: argparse.Namespace) -> None:
    """Print the tables of times."""
    from bench.quality.times import print_times

    print_times(options.work, options.rounds)


def run_encoders(options: argparse.Namespace) -> None:
    """Print the table of encoders' flags."""
    from bench.quality.encoders import print_encoders

    print_encoders(all_photographs(options))


def run_memory(options: argparse.Namespace) -> None:
    """Print the table of memory."""
    from bench.quality.memory import print_memory

    print_memory(options.work)


def run_sheet(options: argparse.Namespace) -> None:
    """Draw the contact sheet."""
    from bench.quality.charts import make_charts
    from bench.quality.sheet import draw_sheet

    photos = choose_photographs(options.pictures, options.count)
    some = {os.path.basename(path): path for paths in photos.values() for path in paths[:4]}
    draw_sheet(make_charts(options.work) | some, options.sheet)


SUBJECTS = {
    "likeness": Subject(run_likeness, "SSIM and CIEDE2000 to a full decode with Lanczos, thumbmill and libvips"),
    "scales": Subject(run_scales, "what the scales of the JPEG decoder cost in likeness"),
    "time": Subject(run_time, "thumbmill, Image.thumbnail and libvips on one core"),
    "encoders": Subject(run_encoders, "time and bytes of each of the encoders' flags"),
    "memory": Subject(run_memory, "peak memory for 100 megapixels"),
    "sheet": Subject(run_sheet, "a contact sheet to look at"),
}


def all_photographs(options: argparse.Namespace) -> list[str]:
    """Return the photographs of all folders. Raises FileNotFoundError."""
    return [path for paths in choose_photographs(options.pictures, options.count).values() for path in paths]


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.quality",
        description="thumbmill's thumbnails beside a full decode with Lanczos and beside libvips.",
        epilog="\n".join(f"  {name:9} {subject.help}" for name, subject in SUBJECTS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("subject", choices=SUBJECTS, metavar="SUBJECT", help="what to compare, see below")
    parser.add_argument(
        "--pictures", metavar="FOLDER", action="append", help=f"photographs ({WALLPAPERS}); may be repeated"
    )
    parser.add_argument("--count", type=int, default=25, metavar="N", help="how many of each folder (%(default)s)")
    parser.add_argument("--rounds", type=int, default=15, metavar="R", help="of timing (%(default)s)")
    parser.add_argument("--sheet", metavar="FILE", default="contact-sheet.png", help="the sheet to draw (%(default)s)")
    work = Path(tempfile.gettempdir(), "thumbmill-bench", "quality")
    parser.add_argument(
        "--work", type=Path, metavar="FOLDER", default=work, help="for pictures that it makes (%(default)s)"
    )
    options = parser.parse_args(arguments)
    options.pictures = options.pictures or [WALLPAPERS]
    return options


def main(arguments: list[str] | None = None) -> int:
    """Compare, and print; return 1 with a line on stderr if something is missing."""
    options = parse(arguments)
    missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        print(f"bench.quality: {' and '.join(missing)} missing: pip install '.[quality]'", file=sys.stderr)
        return 1
    try:
        SUBJECTS[options.subject].run(options)
    except (FileNotFoundError, ImportError) as error:
        print(f"bench.quality: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
