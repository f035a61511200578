"""Read thumbmill's settings: complete them, check them, and say in plain words what is wrong with them."""

import copy
import difflib
import importlib.util
import os
import re
from collections.abc import Mapping

from PIL import ImageColor

from scripts.object_storage import PLACE, REMOTE, is_remote

NO_SIZE = (None, "null")  # the second is how --config passes it on

COLOUR = "must be a colour: '#ffffff', or a name such as white"

FOCUS = (
    "must be center, an edge (top, bottom, left, right), a corner (top-left ...) "
    "or a point in percent from left and top, as in '50% 20%'"
)

PATTERNS = {"background": COLOUR, "focus": FOCUS}

TYPES = {
    "integer": "a whole number",
    "boolean": "true or false",
    "string": "text",
    "object": "a group of settings",
    "array": "a list",
}


class SettingsError(ValueError):
    """The settings cannot be used; the message says which one, what it is and what is allowed."""


def read_settings(config: Mapping, validator) -> dict:
    """The settings of `config`, complete: with the schema's defaults, and numbers where `--config` gave text.

    `validator` is a jsonschema validator of `schemas/config.schema.yaml`. `config` is not changed.

    Raises SettingsError if a setting is unknown, of the wrong kind or out of range, or needs what is not installed.
    """
    settings = copy.deepcopy(dict(config))
    if isinstance(settings.get("sizes"), Mapping):
        settings["sizes"] = {str(name): size for name, size in settings["sizes"].items() if size not in NO_SIZE}
        groups = [settings, *(size for size in settings["sizes"].values() if isinstance(size, dict))]
    else:
        groups = [settings]
    for group in groups:
        if isinstance(group.get("format"), str):
            group["format"] = [group["format"]]
    settings = complete(settings, validator.schema)
    errors = sorted(validator.iter_errors(settings), key=lambda error: [str(key) for key in error.absolute_path])
    if errors:
        raise SettingsError("\n".join(dict.fromkeys(explain(error) for error in errors)))
    for size in settings["sizes"].values():
        size.setdefault("format", list(settings["format"]))
    for folder in ("source", "output"):
        settings[folder] = plain_folder(folder, settings[folder])
    try:
        ImageColor.getrgb(settings["background"])
    except ValueError:
        raise SettingsError(f"background is {settings['background']!r}: {COLOUR}") from None
    if settings["placeholder"] == "blurhash" and not importlib.util.find_spec("blurhash"):
        raise SettingsError("placeholder is 'blurhash': this needs `pip install '.[blurhash]'`; or choose none")
    check_folders(settings["source"], settings["output"], settings["sizes"])
    return settings


def plain_folder(setting: str, folder: str) -> str:
    """`folder`, the value of the `setting` source or output, in the shortest way. Raises SettingsError."""
    if not is_remote(folder):
        if folder.lower().startswith(("s3:", "gs://", "http://", "https://")):
            raise SettingsError(f"{setting} is {folder!r}: must be a folder, or {REMOTE}<bucket>/<prefix>")
        return os.path.normpath(folder)
    if not PLACE.fullmatch(folder.rstrip("/")):
        raise SettingsError(
            f"{setting} is {folder!r}: must be {REMOTE}<bucket> or {REMOTE}<bucket>/<prefix>, "
            "in which no part of the prefix is empty, . or .."
        )
    return folder.rstrip("/")


def complete(value, schema: Mapping):
    """`value` with the defaults of its `schema` filled in, and text that spells a number or truth value converted."""
    kind = schema.get("type")
    if isinstance(value, str):
        if kind == "integer" and re.fullmatch(r"\s*[+-]?[0-9]+(_[0-9]+)*\s*", value):
            return int(value)
        if kind == "boolean" and value.strip().lower() in ("true", "false"):
            return value.strip().lower() == "true"
    if kind == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind == "object" and isinstance(value, Mapping):
        known = schema.get("properties", {})
        value = dict(value)
        for key, subschema in known.items():
            if "default" in subschema:
                value.setdefault(key, copy.deepcopy(subschema["default"]))
        for pattern, subschema in schema.get("patternProperties", {}).items():
            value |= {key: complete(item, subschema) for key, item in value.items() if re.search(pattern, str(key))}
        value |= {key: complete(value[key], subschema) for key, subschema in known.items() if key in value}
    return value


def explain(error) -> str:
    """One line for a jsonschema ValidationError: the setting, its value, and what is allowed."""
    setting = ".".join(key for key in error.absolute_path if isinstance(key, str))
    allowed, value = error.validator_value, error.instance
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        patterns = list(error.schema.get("patternProperties", {}))
        unknown = [str(key) for key in value if key not in known and not any(re.search(p, str(key)) for p in patterns)]
        if patterns:
            return f"{setting}: {unknown[0]!r} cannot be a name here: use letters, digits, - and _"
        close = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        where = f"{setting}: unknown setting" if setting else "unknown setting"
        return f"{where} {unknown[0]!r}{hint}: allowed are {', '.join(known)}"
    if error.validator == "required":
        missing = [key for key in allowed if key not in value]
        return f"{setting} has no {' and no '.join(missing)}: each size needs {' and '.join(allowed)}"
    expected = {
        "type": lambda: f"must be {TYPES[allowed]}",
        "enum": lambda: f"must be one of {', '.join(map(str, allowed))}",
        "minimum": lambda: f"must be at least {allowed}",
        "maximum": lambda: f"must be at most {allowed}",
        "pattern": lambda: PATTERNS.get(setting.split(".")[-1], "must not be empty or hold { } < >"),
        "minItems": lambda: "must name at least one",
        "minProperties": lambda: "must name at least one",
        "uniqueItems": lambda: "must not name anything twice",
    }
    return f"{setting} is {value!r}: {expected[error.validator]()}"


def check_folders(source: str, output: str, sizes: Mapping) -> None:
    """Refuse folders in which a thumbnail would become a source.

    The output folder may lie inside the source folder (it is then left out of the catalogue) or around it.

    Raises SettingsError.
    """
    if is_remote(source) != is_remote(output):
        return
    real_source, real_output = real(source), real(output)
    if real_source == real_output:
        inside = f"{output}/thumbnails"
        raise SettingsError(
            f"output is {output!r}, the source folder itself: thumbnails would be taken for sources. "
            f"Give them a folder of their own, for instance {inside!r}"
        )
    for size in sizes:
        folder = real(f"{output}/{size}")
        if os.path.commonpath([folder, real_source]) in (folder, real_source) and not is_inside(
            real_output, real_source
        ):
            raise SettingsError(
                f"sizes.{size} would be written to {f'{output}/{size}'!r}, among the sources in {source!r}: "
                "choose another name for the size, or another output folder"
            )


def real(path: str) -> str:
    """The absolute path without links; an object's with a slash in front, to be compared like one."""
    return "/" + path.removeprefix(REMOTE) if is_remote(path) else os.path.realpath(path)


def is_inside(path: str, folder: str) -> bool:
    """Whether `path` is `folder` or lies below it (both absolute)."""
    return os.path.commonpath([path, folder]) == folder


def find_config(workflow_folder: str) -> str:
    """The settings file: config.yaml of the working directory, or else the one beside the Snakefile."""
    return "config.yaml" if os.path.exists("config.yaml") else os.path.join(workflow_folder, "config.yaml")


def load_validator(workflow_folder: str):
    """The jsonschema validator of the settings, from the schema beside the Snakefile."""
    # Imported here: the picture script's environment has neither, and workers need neither.
    import jsonschema
    import yaml

    with open(os.path.join(workflow_folder, "schemas", "config.schema.yaml"), encoding="utf-8") as file:
        return jsonschema.Draft202012Validator(yaml.safe_load(file))
