"""thumbmill as a module of another workflow, one of whose rules takes thumbnails as input."""

import pytest
import yaml

from tests.support.locks import working
from tests.support.shop import REPOSITORY, Run, WarmShop

SNAKEFILE = """
configfile: "settings.yaml"


rule site:
    input:
        "site/index.html",


module thumbmill:
    snakefile:
        "{snakefile}"
    config:
        config["thumbmill"]
{prefix}

use rule * from thumbmill as thumbs_*


rule page:
    input:
        "{folder}thumbnails/thumb/a.jpg",
        "{folder}thumbnails/thumb/sub/c.jpg",
    output:
        "site/index.html",
    shell:
        "printf '%s\\\\n' {{input:q}} >{{output}}"
"""


class Site(WarmShop):
    """A workflow that uses thumbmill, below the folder `prefix` if there is one."""

    prefix = ""

    def write(self, prefix: str = "", **settings: object) -> None:
        """Write the workflow, and the `settings` that it gives to thumbmill; draw three pictures."""
        self.prefix = prefix
        below = f"{prefix}/" if prefix else ""
        line = f'    prefix:\n        "{prefix}"\n' if prefix else ""
        text = SNAKEFILE.format(snakefile=REPOSITORY / "Snakefile", prefix=line, folder=below)
        (self.folder / "Snakefile").write_text(text)
        (self.folder / "settings.yaml").write_text(yaml.safe_dump({"thumbmill": {"source": "pictures", **settings}}))
        for name, colour in (("a.jpg", "red"), ("b.png", "green"), ("sub/c.webp", "blue")):
            self.picture(f"../{below}pictures/{name}", colour)

    def run(self, *arguments: str, **options: object) -> Run:
        """Run the workflow."""
        return super().run(*arguments, "--snakefile", "Snakefile", **options)

    def names(self) -> set[str]:
        """Return all files of the working directory that are the workflow's."""
        hidden = (".snakemake", ".profile", ".output", "Snakefile", "settings.yaml", "images")
        found = {name for name in self.files(".") if not name.startswith(hidden)}
        return {name for name in found if "pictures/" not in name}


@pytest.fixture
def site(tmp_path, warm_snakemake) -> Site:
    """A workflow that is not written yet."""
    (tmp_path / "images").mkdir()
    return Site(tmp_path, warm_snakemake)


@pytest.mark.parametrize("prefix", ["", "shop"])
def test_rules_of_the_workflow_take_thumbnails_as_input(site, prefix):
    """Only those that are needed are made; a prefix moves all that thumbmill writes."""
    site.write(prefix)
    below = f"{prefix}/" if prefix else ""
    thumbnails = [f"{below}thumbnails/thumb/{name}.jpg" for name in ("a", "sub/c")]
    run = site.run()
    assert (run.code, run.jobs) == (0, {"a", "sub/c"}), run.text
    assert (site.folder / "site/index.html").read_text().splitlines() == thumbnails
    assert site.names() == {"site/index.html", *thumbnails, f"{below}logs/failures.tsv"}
    assert run.last_lines == ["thumbmill: 2 made, 0 up to date, 0 failed"]

    site.picture(f"../{below}pictures/a.jpg", "yellow", (80, 70))
    run = site.run()
    assert run.jobs == {"a"} and "rule page:" in run.text


def test_targets_have_the_prefix_of_their_rules(site):
    """And do what they do without a module; the whole catalogue is skipped when it is current."""
    site.write(output="small", sizes={"tiny": {"width": 9, "height": 9}})
    (site.folder / "pictures/bad.jpg").write_text("no picture")
    run = site.run("thumbs_all")
    assert (run.code, run.jobs) == (1, {"a", "b", "sub/c", "bad"}), run.text
    assert run.last_lines[0] == "thumbmill: 3 made, 0 up to date, 1 failed"
    assert site.files("small") == {"tiny/a.jpg", "tiny/b.jpg", "tiny/sub/c.jpg"}, "settings are the workflow's"
    assert site.failure_kinds() == {"pictures/bad.jpg": "unsupported"}

    (site.folder / "pictures/bad.jpg").unlink()
    run = site.run("thumbs_all")
    assert (run.code, run.jobs) == (0, set())
    assert run.last_lines == ["thumbmill: 0 made, 3 up to date, 0 failed"]
    assert site.failures() == {}


@pytest.mark.slow
def test_reports_of_a_module(site):
    site.write()
    run = site.run("thumbs_manifest", "thumbs_plan")
    assert run.code == 0, run.text
    assert run.jobs == {"a", "b", "sub/c"}
    assert "thumbmill: 3 pictures in pictures" in run.text
    assert (site.folder / "manifest/manifest.json").exists()


@pytest.mark.parametrize("prefix", ["", pytest.param("shop", marks=pytest.mark.slow)])
def test_two_runs_at_once_are_refused(site, prefix):
    """Though a module has no `onstart`."""
    site.write(prefix)
    with working("shop/thumbnails" if prefix else "thumbnails", site.folder):
        run = site.run()
    assert run.code == 1
    assert "thumbmill: another run (process " in run.text.rstrip().splitlines()[-1]
    assert "Traceback" not in run.text
    assert site.names() == set()
    assert site.run().code == 0


def test_in_another_directory(site, tmp_path):
    site.write()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    command = [
        *("--snakefile", str(site.folder / "Snakefile"), "--directory", str(site.folder), "--cores", "2"),
        *("--workflow-profile", str(site.talkative_profile())),
    ]
    assert site.snakemake.run(command, elsewhere) == 0
    assert (site.folder / "site/index.html").exists()
    assert [path.name for path in elsewhere.iterdir()] == [".output"], "which is the test's own"


def test_a_setting_that_cannot_be_used_is_rejected_in_one_line(site):
    site.write(sizes={"thumb": {"width": -4, "height": 4}})
    run = site.run()
    assert run.code == 1
    assert run.text.rstrip().splitlines()[-1] == "thumbmill: sizes.thumb.width is -4: must be at least 1"
    assert "Traceback" not in run.text
