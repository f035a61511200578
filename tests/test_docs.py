"""The pages agree with each other, with the settings and with the measurements, and the commands they print exist."""

import functools
import json
import re
import string
from pathlib import Path

import pytest
import yaml

from tests.support.settings import settings, validator
from tests.support.shop import REPOSITORY
from tools import settings_page

PAGES = sorted(
    path.relative_to(REPOSITORY)
    for pattern in ("*.md", "docs/**/*.md", "plugins/*/*.md")
    for path in REPOSITORY.glob(pattern)
)
README = Path("README.md")
SETTINGS = dict(settings_page.settings(validator().schema))

LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
PROGRAM = re.compile(r"python -m ((?:bench|trials|tools)(?:\.\w+)*)")
FILE = re.compile(r"(?<![\w./-])(?:tools|tests|trials|bench|profiles|rules|thumbmill|scripts)/[\w./-]*\w")
CI_JOB = re.compile(r"\.ci/run((?: [a-z]+)+)")


@functools.cache
def text_of(page: Path) -> str:
    """Return the text of a page, given by its path in the repository."""
    return (REPOSITORY / page).read_text(encoding="utf-8")


@functools.cache
def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", text_of(page), flags=re.M | re.S), re.MULTILINE)
    kept = {*string.ascii_lowercase, *string.digits, "-", "_"}
    return {"".join(c for c in heading.lower().replace(" ", "-") if c in kept) for heading in headings}


def section(page: Path, heading: str) -> str:
    """Return the text of a page's section, without its heading."""
    return text_of(page).split(f"\n## {heading}\n")[1].split("\n## ")[0]


def code_blocks(text: str, language: str) -> list[str]:
    """Return the content of each block of code in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def code_in(page: Path) -> str:
    """Return everything on a page that is set as code, with lines joined that only the margin broke."""
    return "\n".join(
        re.sub(r"\s*\n\s*", " ", code) if "```" not in code else code for code in CODE.findall(text_of(page))
    )


def broken_links(page: Path) -> list[str]:
    """Return the relative links of a page that lead to no file, or to no heading of a page."""
    broken = []
    for link in LINK.findall(CODE.sub("", text_of(page))):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = (REPOSITORY / page.parent / path).resolve() if path else REPOSITORY / page
        if not target.exists() or (anchor and anchor not in anchors(target.relative_to(REPOSITORY))):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_relative_link_leads_somewhere(page):
    assert broken_links(page) == []


def test_a_broken_link_would_be_found(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "REPOSITORY", tmp_path)
    page = Path("a-page-of-this-test.md")
    (tmp_path / page).write_text(
        "# One & two\n[a](#one--two) [b](#three) [c](missing.md) [d](https://e.org) `[f](g)`\n"
    )
    assert broken_links(page) == ["#three", "missing.md"]


def test_the_index_lists_every_page():
    listed = {(Path("docs") / link.partition("#")[0]) for link in LINK.findall(text_of(Path("docs/index.md")))}
    pages = {page for page in PAGES if page.parts[0] == "docs" and "comparison" not in page.parts}
    assert pages - {Path("docs/index.md")} <= listed


# The README


def test_the_readme_is_short():
    assert len(text_of(README).splitlines()) <= 150


def test_the_readmes_two_commands_install_the_tested_versions():
    """CI reads them from this section and runs them (.ci/run readme)."""
    (block,) = code_blocks(section(README, "Two commands"), "sh")
    commands = [line.split(" && ") for line in block.splitlines()]
    assert commands == [
        ["pip install -c envs/tested.txt . ./plugins/*", "snakemake --cores all"],
        ["pip install -c envs/tested.txt '.[test]'", "pytest"],
    ]


def test_the_readmes_settings_file_is_valid():
    (block,) = code_blocks(text_of(README), "yaml")
    config = yaml.safe_load(block)
    complete = settings(**config)
    assert list(complete["sizes"]) == ["square", "teaser"]
    assert complete["format"] == ["webp", "jpeg"]


def test_the_readme_lists_every_target():
    """A target is a rule without output: Snakemake is asked for it by its name."""
    files = [REPOSITORY / "Snakefile", *REPOSITORY.glob("rules/*.smk")]
    rules = dict(
        re.findall(r"^rule (\w+):\n((?:    .*\n|\n)*)", "".join(path.read_text() for path in files), re.MULTILINE)
    )
    targets = {name for name, body in rules.items() if not re.search(r"^    output:", body, re.MULTILINE)}
    assert targets == {"all", "retry", "plan", "orphans", "remove_orphans", "manifest", "gallery"}
    assert {*re.findall(r"^\| `(\w+)` \|", section(README, "Targets"), re.MULTILINE)} == targets


def test_the_readmes_figures_are_those_measured():
    table = re.findall(r"^\| ([\w-]+): .*?((?:\|[ \d.]+)+)\|$", section(README, "How fast"), re.MULTILINE)
    assert [case for case, _ in table] == ["small-1000", "photos", "small-10000", "small-100000", "rerun-100000"]
    for case, row in table:
        document = json.loads((REPOSITORY / f"docs/comparison/{case}.json").read_text())
        results = next(iter(document["tables"].values()))
        loop = "loop-mtime" if case.startswith("rerun") else "processes"
        for contender, cell in zip((loop, "thumbmill", "sharp", "stock"), row.strip("|").split("|"), strict=True):
            figures = results.get(contender, {}).get("figures")
            assert cell.strip() == (f"{figures['wall'][0]:.2f}" if figures else ""), (case, contender)
        assert document["machine"]["date"].startswith("2026-11-22") and document["machine"]["cores"] == 2


# The settings


def test_the_settings_page_is_current():
    assert settings_page.main(["--check"]) == 0, "run: python -m tools.settings_page"


def test_the_settings_page_has_every_setting_with_its_default():
    rows = re.findall(r"^\| `([\w.]+)` \| (.*?) \|", text_of(Path("docs/settings.md")), re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted(SETTINGS)
    assert dict(rows)["quality.avif"] == "`65`" and dict(rows)["keep_extension"] == "`false`"


def test_every_setting_has_a_description_that_ends_like_a_sentence():
    assert [name for name, schema in SETTINGS.items() if not schema["description"].endswith(".")] == []


def test_the_settings_file_has_every_setting_at_its_default():
    config = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
    assert set(config) == {name for name in SETTINGS if "." not in name}
    assert settings(**config) == settings()


@pytest.mark.parametrize("page", [Path("docs/guide.md"), Path("docs/settings.md")], ids=str)
def test_the_pages_examples_of_settings_are_valid(page):
    for block in code_blocks(text_of(page), "yaml"):
        assert settings(**yaml.safe_load(block))


# The commands


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_program_on_a_page_exists(page):
    for module in PROGRAM.findall(code_in(page)):
        path = REPOSITORY / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), f"python -m {module}"


# The changelog also names files that are gone, and the plugins' pages those of the plugin.
@pytest.mark.parametrize("page", [page for page in PAGES if page.parts[0] not in ("CHANGELOG.md", "plugins")], ids=str)
def test_every_file_on_a_page_exists(page):
    assert [name for name in FILE.findall(code_in(page)) if not (REPOSITORY / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_ci_job_on_a_page_exists(page):
    known = re.search(r"^ALL_JOBS=\((.*)\)$", (REPOSITORY / ".ci/run").read_text(), re.MULTILINE)[1].split()
    named = {job for jobs in CI_JOB.findall(code_in(page)) for job in jobs.split()}
    assert named <= {*known}
