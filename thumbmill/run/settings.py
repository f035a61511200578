"""Complete and check the settings, and say in plain words what is wrong with them."""

import copy
import difflib
import importlib.util
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from PIL import ImageColor

from thumbmill.catalog.exclusion import Exclusion
from thumbmill.catalog.store import OTHER_SCHEMES, S3_LOCATION, S3_SCHEME, open_store
from thumbmill.errors import SettingsError

ABSENT_SIZE = (None, "null")  # the second is how --config passes it on

# Settings that had another name in version 0.1.
RENAMED = {"leave_out": "skip_unchanged", "remove_more_than_a_fifth": "allow_mass_removal"}

LISTS = {"exclude", "format", "read"}  # settings that may name a single value

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


def read_settings(config: Mapping[str, Any], validator: Any) -> dict[str, Any]:
    """Return the settings of `config`, complete: with the schema's defaults, and numbers where `--config` gave text.

    `validator` is a jsonschema validator of `schemas/config.schema.yaml`. `config` is not changed.

    Raises SettingsError if a setting is unknown, of the wrong kind or out of range, or needs what is not installed.
    """
    settings = copy.deepcopy(dict(config))
    if isinstance(settings.get("sizes"), Mapping):
        settings["sizes"] = {str(name): size for name, size in settings["sizes"].items() if size not in ABSENT_SIZE}
        groups = [settings, *(size for size in settings["sizes"].values() if isinstance(size, dict))]
    else:
        groups = [settings]
    for group in groups:
        for key in LISTS & group.keys():
            if isinstance(group[key], str):
                group[key] = [group[key]]
    settings = complete(settings, validator.schema)
    errors = sorted(validator.iter_errors(settings), key=lambda error: [str(key) for key in error.absolute_path])
    if errors:
        raise SettingsError("\n".join(dict.fromkeys(explain(error) for error in errors)))
    for pattern in settings["exclude"]:
        try:
            Exclusion([pattern])
        except ValueError as error:
            raise SettingsError(f"exclude holds {pattern!r}: {error}") from None
    for size in settings["sizes"].values():
        size.setdefault("format", list(settings["format"]))
    for key in ("source", "output"):
        settings[key] = normalize_location(key, settings[key])
    try:
        ImageColor.getrgb(settings["background"])
    except ValueError:
        raise SettingsError(f"background is {settings['background']!r}: {COLOUR}") from None
    if settings["placeholder"] == "blurhash" and not importlib.util.find_spec("blurhash"):
        raise SettingsError("placeholder is 'blurhash': this needs `pip install '.[blurhash]'`; or choose none")
    if settings["resampler"] == "fast" and not importlib.util.find_spec("cykooz_resizer"):
        settings["resampler"] = "pillow"  # there are no wheels for rare processors
    check_locations(settings["source"], settings["output"], settings["sizes"])
    return settings


def normalize_location(key: str, location: str) -> str:
    """Return `location`, the value of the setting `key`, in its shortest form. Raises SettingsError."""
    if not location.startswith(S3_SCHEME):
        if location.lower().startswith(OTHER_SCHEMES):
            raise SettingsError(f"{key} is {location!r}: must be a folder, or {S3_SCHEME}<bucket>/<prefix>")
        return os.path.normpath(location)
    if not S3_LOCATION.fullmatch(location.rstrip("/")):
        raise SettingsError(
            f"{key} is {location!r}: must be {S3_SCHEME}<bucket> or {S3_SCHEME}<bucket>/<prefix>, "
            "in which no part of the prefix is empty, . or .."
        )
    return location.rstrip("/")


def complete(value: Any, schema: Mapping[str, Any]) -> Any:
    """Return `value` with the defaults of its `schema`, and with text that spells a number or truth value converted."""
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


def explain(error: Any) -> str:
    """Return one line for a jsonschema ValidationError: the setting, its value, and what is allowed."""
    setting = ".".join(key for key in error.absolute_path if isinstance(key, str))
    allowed, value = error.validator_value, error.instance
    if error.validator == "additionalProperties":
        return explain_unknown(setting, value, error.schema)
    if error.validator == "required":
        missing = [key for key in allowed if key not in value]
        return f"{setting} has no {' and no '.join(missing)}: each size needs {' and '.join(allowed)}"
    expected: dict[str, Callable[[], str]] = {
        "type": lambda: f"must be {TYPES[allowed]}",
        "enum": lambda: f"must be one of {', '.join(map(str, allowed))}",
        "minimum": lambda: f"must be at least {allowed}",
        "maximum": lambda: f"must be at most {allowed}",
        "pattern": lambda: PATTERNS.get(setting.split(".")[-1], "must not be empty or contain { } < >"),
        "minItems": lambda: "must name at least one",
        "minProperties": lambda: "must name at least one",
        "uniqueItems": lambda: "must not name anything twice",
    }
    return f"{setting} is {value!r}: {expected[error.validator]()}"


def explain_unknown(group: str, value: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Return one line about the first setting in `value`, of the `group` of settings, that `schema` does not know."""
    known = list(schema.get("properties", {}))
    patterns = list(schema.get("patternProperties", {}))
    unknown = next(str(key) for key in value if key not in known and not any(re.search(p, str(key)) for p in patterns))
    if patterns:
        return f"{group}: {unknown!r} cannot be a name here: use letters, digits, - and _"
    if unknown in RENAMED and not group:
        return f"setting {unknown!r} is called {RENAMED[unknown]!r} now"
    close = difflib.get_close_matches(unknown, known, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    where = f"{group}: unknown setting" if group else "unknown setting"
    return f"{where} {unknown!r}{hint}: allowed are {', '.join(known)}"


def check_locations(source: str, output: str, sizes: Mapping[str, Any]) -> None:
    """Reject locations in which a thumbnail would become a source.

    The output folder may be inside the source folder (it is then left out of the catalogue) or around it.

    Raises SettingsError.
    """
    if open_store(source).is_remote != open_store(output).is_remote:
        return
    real_source, real_output = real(source), real(output)
    if real_source == real_output:
        inside = f"{output}/thumbnails"
        raise SettingsError(
            f"output is {output!r}, the source folder itself: thumbnails would count as sources. "
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


def real(location: str) -> str:
    """Return the canonical form of a location as an absolute path, so that two of them can be compared."""
    return "/" + open_store(location).identity().removeprefix(S3_SCHEME).lstrip("/")


def is_inside(path: str, folder: str) -> bool:
    """Whether `path` is `folder` or lies below it (both absolute)."""
    return os.path.commonpath([path, folder]) == folder


def find_config(code: str) -> str:
    """Return the settings file: config.yaml of the working directory, or else that in `code`, beside the Snakefile."""
    return "config.yaml" if os.path.exists("config.yaml") else os.path.join(code, "config.yaml")


def load_validator(code: str) -> Any:
    """Return the jsonschema validator of the settings, from the schema beside the Snakefile, in the folder `code`."""
    # Imported here: the picture script's environment has neither, and workers need neither.
    import jsonschema
    import yaml

    with open(os.path.join(code, "schemas", "config.schema.yaml"), encoding="utf-8") as file:
        return jsonschema.Draft202012Validator(yaml.safe_load(file))
