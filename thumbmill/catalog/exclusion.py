"""Which files and folders of the source the setting `exclude` leaves out: patterns as in a .gitignore file.

Git's rules hold, so that the last pattern that matches decides, and nothing in an excluded folder can be included
again. What differs: a list needs no comments, so `#` is an ordinary character, spaces count, and there are no classes
such as [[:alpha:]]. A pattern that could match nothing is an error. tests/catalog/test_exclusion.py compares with Git.
"""

import functools
import os
import re
from collections.abc import Iterable
from typing import NamedTuple

TOKEN = re.compile(
    r"""(?P<star>\*+) | (?P<any>\?) | \\(?P<escaped>.) | (?P<plain>[^\\\[])
      | \[ (?P<not>[!^]?) (?P<set>\]?+(?:\\.|[^\]\\])*) \]""",
    re.DOTALL | re.VERBOSE,
)


class Rule(NamedTuple):
    """One pattern, as a regular expression that a whole path below the source folder has to match."""

    regex: re.Pattern[str]
    includes: bool  # it began with `!`
    folders_only: bool  # it ended in `/`


class Exclusion:
    """The patterns of the setting `exclude`."""

    def __init__(self, patterns: Iterable[str] = ()):
        """Raises ValueError, with a text for the user, if a pattern is malformed."""
        self._rules = [parse(pattern) for pattern in patterns][::-1]  # the last one first
        self._rules_for_files = [rule for rule in self._rules if not rule.folders_only]

    def matches(self, path: str, is_folder: bool) -> bool:
        """Whether a file or folder is left out; `path` is below the source folder, none of its folders left out."""
        rules = self._rules if is_folder else self._rules_for_files
        return next((not rule.includes for rule in rules if rule.regex.fullmatch(path)), False)

    def covers(self, path: str) -> bool:
        """Whether a file is left out, or one of the folders that `path` leads through."""
        return self._covers_folder(os.path.dirname(path)) or self.matches(path, is_folder=False)

    @functools.cache  # noqa: B019 - as long-lived as the listing
    def _covers_folder(self, folder: str) -> bool:
        """Whether a folder is left out, or one around it."""
        return bool(folder) and (self._covers_folder(os.path.dirname(folder)) or self.matches(folder, is_folder=True))


def parse(pattern: str) -> Rule:
    """Return the rule that a `pattern` stands for. Raises ValueError."""
    text = pattern.removeprefix("!")
    folders_only = text.endswith("/")
    text = text.removesuffix("/")
    parts = text.removeprefix("/").split("/")
    if {"", ".", ".."} & {*parts}:
        raise ValueError("must be a name or a path below the source folder, without empty parts, . and ..")
    anywhere = "/" not in text
    regex = "(?:.*/)?" if anywhere else ""
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if part == "**" and not anywhere:
            regex += ".+" if last else "(?:.*/)?"
        else:
            regex += translate(part) + ("" if last else "/")
    return Rule(re.compile(regex, re.DOTALL), pattern.startswith("!"), folders_only)


def translate(part: str) -> str:
    """Return the regular expression of one `part` of a pattern, between slashes. Raises ValueError."""
    regex, position = "", 0
    while position < len(part):
        token = TOKEN.match(part, position)
        if not token:
            raise ValueError("has a [ without its ]" if part[position] == "[" else "ends in a \\")
        position = token.end()
        if token["star"]:
            regex += "[^/]*"
        elif token["any"]:
            regex += "[^/]"
        elif token["set"] is not None:
            regex += translate_set(token["set"], bool(token["not"]))
        else:
            regex += re.escape(token["escaped"] or token["plain"])
    return regex


def translate_set(members: str, negated: bool) -> str:
    """Return the regular expression of one of these `members` of [...], or of none of them. Raises ValueError."""
    if "[:" in members:
        raise ValueError("has a class such as [:alpha:], which is not supported: use a range such as a-z")
    characters = re.findall(r"\\.|.", members, re.DOTALL)
    regex = ""
    while characters:
        first = last = characters.pop(0)
        if characters[:1] == ["-"] and len(characters) > 1:
            last = characters[1]
            del characters[:2]
        if first[-1] > last[-1]:
            raise ValueError(f"has a range that ends before it begins: {first}-{last}")
        regex += f"{re.escape(first[-1])}-{re.escape(last[-1])}"
    return f"(?!/)[{'^' if negated else ''}{regex}]"
