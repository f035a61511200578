"""The profiles of clusters and clouds say what Snakemake and its plugins understand."""

import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.slow

EXTRAS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
PROFILES = sorted({path.parent.name for path in REPOSITORY.glob("profiles/*/config.yaml")} - {"default"})
EXECUTORS = {"manycore": "local"}  # where it is not named as the profile, and needs no extra


def parse(profile: Path) -> subprocess.CompletedProcess:
    """Parse a profile with Snakemake's own command line, including plugins' options. Nothing is run."""
    if missing := missing_plugins(profile.name):
        pytest.skip(f"not installed: pip install '.[{profile.name}]' ({', '.join(missing)})")
    code = "import sys; from snakemake.cli import parse_args; print(parse_args(sys.argv[1:])[1].executor)"
    command = ["--snakefile", str(REPOSITORY / "Snakefile"), "--workflow-profile", str(profile)]
    return subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True)


def missing_plugins(extra: str) -> list[str]:
    """Return the packages of an extra that are not installed."""
    missing = []
    for requirement in EXTRAS.get(extra, ()):
        try:
            version(requirement.split(">=")[0])
        except PackageNotFoundError:
            missing.append(requirement)
    return missing


def test_each_profile_has_its_extra():
    assert set(PROFILES) - set(EXECUTORS) <= set(EXTRAS)


@pytest.mark.parametrize("profile", PROFILES)
def test_snakemake_knows_every_option(profile):
    done = parse(REPOSITORY / "profiles" / profile)
    assert (done.returncode, done.stdout) == (0, f"{EXECUTORS.get(profile, profile)}\n"), done.stderr


@pytest.mark.parametrize("profile", PROFILES)
def test_an_unknown_option_would_be_seen(profile, tmp_path):
    settings = yaml.safe_load((REPOSITORY / "profiles" / profile / "config.yaml").read_text())
    (tmp_path / profile).mkdir()
    (tmp_path / profile / "config.yaml").write_text(
        yaml.safe_dump({**settings, f"{EXECUTORS.get(profile, profile)}-unheard-of": 1})
    )
    done = parse(tmp_path / profile)
    assert done.returncode != 0
    assert "unheard-of" in done.stderr
