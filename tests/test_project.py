"""The project's own files agree with each other."""

import re
import tomllib
from itertools import chain

import pytest
import yaml

from tests.support.settings import settings, validator
from tests.support.shop import REPOSITORY
from thumbmill.errors import SettingsError
from thumbmill.run.settings import RENAMED, read_settings
from tools.list_files import list_files
from trials.newest import normalize, read_versions

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
PLUGINS = {
    path.parent.name: tomllib.loads(path.read_text())["project"]
    for path in sorted(REPOSITORY.glob("plugins/*/pyproject.toml"))
}
TESTED = read_versions((REPOSITORY / "envs/tested.txt").read_text())
REQUIREMENTS = sorted(
    {
        requirement
        for project in (PROJECT, *PLUGINS.values())
        for requirement in chain(project["dependencies"], *project.get("optional-dependencies", {}).values())
    }
)


def test_there_are_four_plugins_each_complete():
    assert len(PLUGINS) == 4
    for name, project in PLUGINS.items():
        assert project["name"] == name
        folder = REPOSITORY / "plugins" / name
        package = folder / "src" / name.replace("-", "_")
        for file in ("README.md", "CHANGELOG.md", "LICENSE"):
            assert (folder / file).stat().st_size > 100, file
        assert (package / "py.typed").exists()
        assert list((folder / "tests").glob("test_*.py"))
        assert not re.search(r"thumbmill|thumbnail", "".join(path.read_text() for path in package.rglob("*.py")))


def test_the_conda_environment_has_the_tested_versions():
    environment = yaml.safe_load((REPOSITORY / "envs/thumbnail.yaml").read_text())["dependencies"]
    assert environment == [
        f"python {PROJECT['requires-python']}",
        f"pillow ={TESTED['pillow']}",
        "pip",
        {"pip": [f"cykooz-resizer=={TESTED['cykooz-resizer']}"]},
    ]


@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_what_is_allowed_begins_with_the_tested_version_and_has_an_end(requirement):
    name, tested, _ = re.fullmatch(r"([\w-]+)(?:\[\w+\])?>=([\d.]+),<([\d.]+)", requirement).groups()
    versions = TESTED | {plugin: project["version"] for plugin, project in PLUGINS.items()}
    version = versions[normalize(name)]
    assert version == tested or version.startswith(f"{tested}.")  # packages of types have a date for their last part


def test_everything_that_ci_installs_for_good_has_the_tested_versions():
    script = re.sub(r"\\\n\s*", "", (REPOSITORY / ".ci/run").read_text())
    installed = re.findall(r"pip install .*", script)
    assert installed and all("envs/tested.txt" in command for command in installed)


def test_the_settings_file_has_every_setting_at_its_default():
    config = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
    assert set(config) == set(validator().schema["properties"])
    assert read_settings(config, validator()) == settings()


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_a_renamed_setting_is_refused_with_its_new_name(old, new):
    assert new in validator().schema["properties"]
    with pytest.raises(SettingsError, match=f"^setting '{old}' is called '{new}' now$"):
        settings(**{old: True})


def test_a_deployment_from_a_git_repository_gets_every_file_that_the_workflow_needs():
    assert (REPOSITORY / "thumbmill/FILES").read_text().split() == list_files()


def test_a_deployment_gets_the_commented_settings():
    assert (REPOSITORY / "config/config.yaml").read_text() == (REPOSITORY / "config.yaml").read_text()


def test_the_profile_for_modules_is_the_default_profile():
    """As far as it concerns the rules of a module, which have another name there."""
    page = (REPOSITORY / "docs/module.md").read_text()
    (block,) = re.findall(r"```yaml\n(executor: .*?)```", page, re.DOTALL)
    default = yaml.safe_load((REPOSITORY / "profiles/default/config.yaml").read_text())
    default["pool-reuse"] = f"thumbs_{default['pool-reuse']}"
    assert yaml.safe_load(block).items() <= default.items()


def test_the_progress_bar_counts_the_rule_that_makes_thumbnails():
    default = yaml.safe_load((REPOSITORY / "profiles/default/config.yaml").read_text())
    rules = re.findall(r"^rule (\w+):", (REPOSITORY / "Snakefile").read_text(), re.MULTILINE)
    assert {*default["logger-progress-rules"].split(",")} <= {*rules}
