"""Write docs/settings.md from the schema of the settings, schemas/config.schema.yaml.

python -m tools.settings_page            writes the page
python -m tools.settings_page --check    only says whether it is current (exit code 1 if not)
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parent.parent
SCHEMA = REPOSITORY / "schemas/config.schema.yaml"
PAGE = REPOSITORY / "docs/settings.md"

Schema = Mapping[str, Any]

INTRODUCTION = """\
<!-- Made by python -m tools.settings_page from schemas/config.schema.yaml. -->
# Settings

All settings live in [config.yaml](../config.yaml), each with a comment. There are three ways to change one; the later
overrides the earlier:

1. in `config.yaml` (one in the working directory replaces the one beside the Snakefile),
2. in a file of your own: `snakemake --cores all --configfile shop.yaml`,
3. on the command line: `snakemake --cores all --config format=webp max_seconds=60`.

Invalid settings are rejected before anything runs, with the setting's name and what is allowed. After a change, the
next run remakes only the pictures that it affects: [pictures.md](pictures.md#when-a-thumbnail-is-made-again).
"""

EXCLUDE = """\
`exclude` holds patterns as in a `.gitignore` file, one for each item of the list. The last one that matches a file or
folder decides:

- `drafts` leaves out every file and folder of that name, and all that is in the folder;
- `drafts/` leaves out folders only;
- `/drafts` and `shop/drafts` leave out only this path, seen from the source folder;
- `*.orig.jpg`, `scan-??.tif` and `[0-9]*/` have wildcards: any characters but `/`, one character, and one of a set
  (`[!0-9]`: one that is not in it);
- `**/old/*.png` and `shop/**/old`: `**` stands for any number of folders;
- `!keep.jpg` takes back what an earlier pattern leaves out, except in a folder that is left out.

`\\` before `*`, `?`, `[` or `!` makes these ordinary characters. Case counts. Unlike in a `.gitignore` file, `#` is an
ordinary character, spaces count, and classes such as `[[:alpha:]]` are rejected. In YAML, quote a pattern that begins
with `*`, `!`, `#`, `@` or `[`.

A folder that is left out is not looked into, so that it does not matter if it cannot be listed. The thumbnails of a
picture that is newly left out become [orphans](guide.md), like those of a deleted one. Hidden files and folders
(`.name`) are always left out.

To keep the default and add to it, copy the list of [config.yaml](../config.yaml):

```yaml
exclude: ["@eaDir/", "#recycle/", "lost+found/", "drafts/"]
```
"""

SIZES = """\
Each size has a name and these settings. Only `width` and `height` are required:

```yaml
sizes:
  thumb: {width: 200, height: 200, fit: cover}
  large: {width: 1200, height: 1200, sharpen: 40, format: [webp, jpeg]}
```

Write `sizes: {thumb: null}` in a file of your own to switch off the size `thumb` of `config.yaml`.
"""


def settings(schema: Schema, prefix: str = "") -> Iterator[tuple[str, Schema]]:
    """Yield (dotted name, schema) of each setting below `schema`. The name of a size is written NAME."""
    for name, subschema in schema.get("properties", {}).items():
        yield f"{prefix}{name}", subschema
        yield from settings(subschema, f"{prefix}{name}.")
    for subschema in schema.get("patternProperties", {}).values():
        yield from settings(subschema, f"{prefix}NAME.")


def allowed_values(schema: Schema) -> str:
    """Return what a setting may be, in words."""
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema["type"] == "array":
        return f"{allowed_values(schema['items'])}, or a list"
    if schema["type"] == "integer":
        least, most = schema["minimum"], schema.get("maximum")
        return f"{least:,} or more" if most is None else f"{least:,} to {most:,}"
    return {"boolean": "`true`, `false`", "string": "text", "object": "a group"}[schema["type"]]


def default_value(name: str, schema: Schema) -> str:
    """Return the default of the setting `name`, in words."""
    if name == "sizes":
        return "one size, `thumb`"
    if "default" not in schema:
        return "`format`" if name.endswith(".format") else "(required)"
    value = schema["default"]
    if isinstance(value, list):
        value = ", ".join(value)
    if value in ({}, ""):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def table(rows: list[tuple[str, Schema]]) -> str:
    """Return the settings in `rows` as a Markdown table."""
    lines = ["| setting | default | allowed values | meaning |", "|---|---|---|---|"]
    for name, schema in rows:
        cells = [f"`{name}`", default_value(name, schema), allowed_values(schema), schema["description"]]
        lines.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
    return "\n".join(lines)


def settings_page(schema: Schema) -> str:
    """Return the page that documents the settings of `schema`, as Markdown."""
    rows = list(settings(schema))
    of_sizes = [row for row in rows if row[0].startswith("sizes.")]
    others = [row for row in rows if row not in of_sizes]
    return (
        f"{INTRODUCTION}\n{table(others)}\n\n## What is left out\n\n{EXCLUDE}\n## Sizes\n\n{SIZES}\n{table(of_sizes)}\n"
    )


def main(arguments: list[str] | None = None) -> int:
    """Write the page; with --check, return 1 if it holds something else."""
    parser = argparse.ArgumentParser(prog="python -m tools.settings_page", description=f"Write {PAGE.name}.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the page is out of date")
    check = parser.parse_args(arguments).check
    text = settings_page(yaml.safe_load(SCHEMA.read_text(encoding="utf-8")))
    if check:
        return int(not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
