"""thumbmill deployed by snakedeploy, from a git repository that stands in for GitHub."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image

from tests.support.shop import REPOSITORY

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("snakedeploy"), reason="not installed: pip install '.[test-deploy]'"),
    pytest.mark.skipif(not shutil.which("git"), reason="git is not installed"),
]

TAG = "v0.2.0"


def git(folder: Path, *arguments: str) -> str:
    """Run git, as somebody; return what it prints."""
    identity = ("-c", "user.name=me", "-c", "user.email=me@example.org")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    """An environment in which https://github.com/me/thumbmill is a repository with the files of this one."""
    published = tmp_path / "github/me/thumbmill"
    listed = git(REPOSITORY, "ls-files", "-co", "--exclude-standard", "-z").split("\0")
    for name in filter(None, listed):
        source, target = REPOSITORY / name, published / name
        if os.path.lexists(source):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target, follow_symlinks=False)
    git(published, "init", "--quiet", "--initial-branch=main")
    git(published, "add", "--all", "--force")
    git(published, "commit", "--quiet", "--message=Everything")
    git(published, "tag", TAG)
    settings = tmp_path / "gitconfig"
    settings.write_text(
        f'[url "{tmp_path / "github"}/"]\n    insteadOf = https://github.com/\n[safe]\n    directory = *\n'
    )
    cache = tmp_path / "cache"
    return {**os.environ, "GIT_CONFIG_GLOBAL": str(settings), "XDG_CACHE_HOME": str(cache), "HOME": str(tmp_path)}


def run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    """Run a command; return what it prints."""
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_what_snakedeploy_writes_makes_thumbnails(tmp_path, environment):
    """With the settings and the profile that it copies; the code comes from the repository."""
    folder = tmp_path / "project"
    (folder / "images").mkdir(parents=True)
    for name in ("a.jpg", "b.png"):
        Image.new("RGB", (600, 400), "red").save(folder / "images" / name)
    deploy = ["snakedeploy", "deploy-workflow", "https://github.com/me/thumbmill", ".", "--tag", TAG]
    run(deploy, folder, environment)
    assert (folder / "config/config.yaml").read_text() == (REPOSITORY / "config.yaml").read_text()
    assert yaml.safe_load((folder / "profiles/default/config.yaml").read_text())["keep-going"] is True

    command = [sys.executable, "-m", "snakemake", "--cores", "2"]
    text = run(command, folder, environment)
    assert "thumbmill: 2 made, 0 up to date, 0 failed" in text
    for name in ("a", "b"):
        with Image.open(folder / f"thumbnails/thumb/{name}.jpg") as thumbnail:
            assert thumbnail.size == (256, 171)
    again = run(command, folder, environment)
    assert "thumbmill: 0 made, 2 up to date, 0 failed" in again
    assert "Traceback" not in text + again

    settings = yaml.safe_load((folder / "config/config.yaml").read_text())
    settings["sizes"] = {"tiny": {"width": 10, "height": 10}}
    (folder / "config/config.yaml").write_text(yaml.safe_dump(settings))
    run(command, folder, environment)
    assert (folder / "thumbnails/tiny/a.jpg").exists()
