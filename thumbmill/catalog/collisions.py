"""Pictures that cannot share an output: two whose thumbnails would be one file, or one's file another's folder.

Names that differ may still be one file: exFAT, SMB and macOS ignore the case of letters, macOS also how a letter with
an accent is written (NFC or NFD). The file system is asked, if there are names that might be the same.
"""

import os
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from thumbmill.catalog.file_names import takes_for_same
from thumbmill.catalog.layout import Layout, encode_wildcard, extensions
from thumbmill.catalog.picture import Picture
from thumbmill.catalog.store import Store
from thumbmill.errors import CatalogError
from thumbmill.files import nearest_existing
from thumbmill.text import printable

MAX_SHOWN_PAIRS = 5
LOCAL_COPIES = "."  # objects are made in the working directory before they are uploaded
FOLDER_END = re.compile(r"[. ]+(?=/)")  # what FAT leaves out at the end of a folder's name
KEEP_EXTENSION = "Set `keep_extension: true` (a.jpg.jpg, a.png.jpg), or rename one."


class Pair(NamedTuple):
    """Two pictures, each with the path below its size's folder that may be the other's."""

    first: str
    second: str
    first_path: str
    second_path: str


def check_collisions(pictures: Iterable[Picture], layout: Layout) -> None:
    """Reject pictures that would share a thumbnail, or one whose thumbnail is where another needs a folder.

    Raises CatalogError that names up to five pairs.
    """
    owners: dict[str, str] = {}
    pairs = []
    for picture in pictures:
        stem = layout.stem(picture.name)
        if stem in owners:
            pairs.append((owners[stem], picture.name))
        owners.setdefault(stem, picture.name)
    if pairs:
        reject(pairs, layout.source, "Rename one." if have_same_names(pairs) else KEEP_EXTENSION)
    folded = dict(zip(owners, fold_all(owners), strict=True))
    suffixes = extensions(layout.renditions)
    candidates = find_blocked_folders(owners, folded, suffixes)
    if blocked := [pair for pair in candidates if pair.first_path == pair.second_path]:
        reject(blocked, layout.source, "Rename the folder, or the picture.")
    if len(set(folded.values())) < len(folded):
        candidates += find_alike(owners, folded, suffixes[0])
    if candidates:
        check_file_system(candidates, layout)


def check_file_system(candidates: Iterable[Pair], layout: Layout) -> None:
    """Reject those of the `candidates` whose paths the output's file system takes for one and the same.

    Raises CatalogError.
    """
    output = layout.output
    folders = [LOCAL_COPIES] if output.is_remote else [output.path(size) for size in layout.settings["sizes"]]
    pairs = [
        pair
        for pair in candidates
        if any(are_one_file(folder, pair.first_path, pair.second_path) for folder in folders)
    ]
    if pairs:
        where = "working directory" if output.is_remote else f"output folder {printable(output.location)!r}"
        keep = "" if all(map(are_alike_with_extension, pairs)) else "set `keep_extension: true`, "
        advice = f"The file system of the {where} takes their names for the same: {keep}rename one, or choose another."
        reject(pairs, layout.source, advice)


def have_same_names(pairs: Iterable[tuple[str, str]]) -> bool:
    """Whether the pictures of some pair would share a thumbnail with their extensions kept."""
    return any(encode_wildcard(one) == encode_wildcard(other) for one, other in pairs)


def are_alike_with_extension(pair: Pair) -> bool:
    """Whether the names of a pair of pictures are alike, extensions included."""
    return fold(pair.first) == fold(pair.second)


def reject(pairs: Sequence[tuple[str, str] | Pair], source: Store, advice: str) -> None:
    """Raise CatalogError for these pairs of pictures."""
    raise CatalogError("\n".join(["these pictures would share one thumbnail:", *shown_pairs(pairs, source), advice]))


def shown_pairs(pairs: Sequence[tuple[str, str] | Pair], source: Store) -> list[str]:
    """Return the lines that name the first of these pairs of pictures."""
    lines = [
        f"  {printable(source.path(pair[0]))}  and  {printable(source.path(pair[1]))}"
        for pair in pairs[:MAX_SHOWN_PAIRS]
    ]
    if len(pairs) > MAX_SHOWN_PAIRS:
        lines.append(f"  ... and {len(pairs) - MAX_SHOWN_PAIRS:,} more")
    return lines


def find_alike(owners: Mapping[str, str], folded: Mapping[str, str], suffix: str) -> list[Pair]:
    """Return the pictures whose thumbnails are one file if the file system takes their names for the same.

    `owners` maps each path of a thumbnail, without its extension (`suffix`), to its picture; `folded` to what fold()
    makes of it.
    """
    first_of: dict[str, str] = {}
    pairs = []
    for stem, key in folded.items():
        first = first_of.setdefault(key, stem)
        if first is not stem:
            pairs.append(Pair(owners[first], owners[stem], first + suffix, stem + suffix))
    return pairs


def find_blocked_folders(owners: Mapping[str, str], folded: Mapping[str, str], suffixes: Iterable[str]) -> list[Pair]:
    """Return the pictures that have a thumbnail where another needs a folder, or may have: the paths are alike.

    `suffixes` are the extensions of thumbnails; the others are find_alike()'s. The first of each pair has the file.
    """
    folders: dict[str, str] = {}  # with a picture in each
    for stem, name in owners.items():
        while stem := os.path.dirname(stem):
            if stem in folders:
                break
            folders[stem] = name
    alike: dict[str, list[str]] = {}
    for folder in folders:
        alike.setdefault(fold(f"{folder}/").removesuffix("/"), []).append(folder)
    pairs = []
    for suffix in suffixes:
        files = {key + suffix for key in folded.values()}
        if files.isdisjoint(alike):
            continue
        for stem, key in folded.items():
            pairs += [
                Pair(owners[stem], folders[folder], stem + suffix, folder) for folder in alike.get(key + suffix, ())
            ]
    return sorted(pairs)


def fold_all(paths: Collection[str]) -> list[str]:
    """Return what fold() makes of each of these paths, which hold no line breaks: at once, if it can be."""
    joined = "\n".join(paths)
    if joined.isascii() and "./" not in joined and " /" not in joined:
        return joined.lower().split("\n") if paths else []
    return [fold(path) for path in paths]


def fold(path: str) -> str:
    """Return what is the same for all paths that any file system may take for `path`."""
    if path.isascii():
        path = path.lower()
    else:
        path = unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).upper().casefold())
    return FOLDER_END.sub("", path) if "./" in path or " /" in path else path


def are_one_file(folder: str, first: str, second: str) -> bool:
    """Whether the paths `first` and `second` below `folder`, alike but not the same, are one file there."""
    for one, other in zip(first.split("/"), second.split("/"), strict=True):
        if one != other and not takes_for_same(nearest_existing(folder), one, other):
            return False
        folder = os.path.join(folder, one)
    return True
