"""The project's own files agree with each other."""

import re
import tomllib
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from snakemake.script import get_source
from snakemake.sourcecache import LocalSourceFile, SourceCache

from scripts.settings import load_validator, read_settings
from scripts.snakemake_costs import remember_script_path
from tests.trials.newest import EXTRAS, normal, read_versions

REPOSITORY = Path(__file__).parent.parent
SCHEMA = yaml.safe_load((REPOSITORY / "schemas/config.schema.yaml").read_text())
README = (REPOSITORY / "README.md").read_text()
SETTINGS_TABLE = README.split("\n## Settings\n")[1].split("\n## ")[0]


PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
TESTED = read_versions((REPOSITORY / "envs/tested.txt").read_text())


def test_the_conda_environment_has_the_tested_versions():
    environment = yaml.safe_load((REPOSITORY / "envs/thumbnail.yaml").read_text())["dependencies"]
    assert environment == [f"python {PROJECT['requires-python']}", f"pillow ={TESTED['pillow']}"]


@pytest.mark.parametrize(
    "requirement", sorted({*PROJECT["dependencies"], *chain(*PROJECT["optional-dependencies"].values())})
)
def test_what_is_allowed_begins_with_the_tested_version_and_has_an_end(requirement):
    name, tested, _ = re.fullmatch(r"([\w-]+)(?:\[\w+\])?>=([\d.]+),<([\d.]+)", requirement).groups()
    assert TESTED[normal(name)] == tested


def test_every_extra_is_tried_in_its_newest_versions():
    assert set(EXTRAS) == set(PROJECT["optional-dependencies"])


def test_all_that_installs_thumbmill_for_good_takes_the_tested_versions():
    commands = README.split("```sh\n")[1].split("\n```")[0].splitlines()
    assert [command.split(" && ")[0] for command in commands] == [
        "pip install -c envs/tested.txt . ./plugins/*",
        "pip install -c envs/tested.txt '.[test]' ./plugins/*",
    ]
    for file in (".ci/run", "Containerfile"):
        installed = re.findall(r"pip install .*", (REPOSITORY / file).read_text())
        assert installed and all("envs/tested.txt" in command for command in installed), file


def test_the_settings_file_holds_every_setting_at_its_default():
    config = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
    validator = load_validator(str(REPOSITORY))
    assert set(config) == set(SCHEMA["properties"])
    assert read_settings(config, validator) == read_settings({}, validator)


def settings_in_schema(schema, prefix=""):
    """The dotted names of all settings."""
    for name, subschema in schema.get("properties", {}).items():
        yield f"{prefix}{name}"
        yield from settings_in_schema(subschema, f"{prefix}{name}.")
    for subschema in schema.get("patternProperties", {}).values():
        yield from settings_in_schema(subschema, f"{prefix}NAME.")


@pytest.mark.parametrize("setting", list(settings_in_schema(SCHEMA)))
def test_every_setting_is_explained_in_the_readme(setting):
    assert f"| `{setting}` |" in SETTINGS_TABLE


def test_nothing_in_the_readme_is_a_setting_that_is_gone():
    documented = re.findall(r"^\| `([\w.]+)` \|", SETTINGS_TABLE, re.MULTILINE)
    assert sorted(documented) == sorted(settings_in_schema(SCHEMA))


def test_the_sample_catalogue_is_what_its_script_draws(tmp_path):
    from scripts.draw_samples import SAMPLES

    drawn = {str(path.relative_to(REPOSITORY / "images")) for path in (REPOSITORY / "images").rglob("*.*")}
    assert drawn == {path for path, _, _ in SAMPLES}
    assert sum(path.stat().st_size for path in (REPOSITORY / "images").rglob("*.*")) < 1_000_000


def test_snakemake_looks_up_the_script_as_remember_script_path_expects(tmp_path):
    """The answer is still asked for by this name, and still a matter of the path alone."""
    sourcecache = SourceCache(tmp_path)
    asked = []
    look_up = sourcecache._cache_entry
    sourcecache._cache_entry = lambda source_file: asked.append(source_file) or look_up(source_file)
    remember_script_path(SimpleNamespace(sourcecache=sourcecache))
    script = str(REPOSITORY / "scripts/thumbnail.py")
    for _ in range(3):
        _, source, language, _, path = get_source(script, sourcecache)
        assert sourcecache.exists(LocalSourceFile(script))
    assert (language, source) == ("python", (REPOSITORY / "scripts/thumbnail.py").read_text())
    assert Path(path).read_text() == source
    assert len(asked) == 1
