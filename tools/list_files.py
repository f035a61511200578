"""List the files that this workflow needs when Snakemake reads it from GitHub or GitLab (rules/deployed.smk).

    python -m tools.list_files > thumbmill/FILES

The last file is the package's own __init__.py.
"""

from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
PATTERNS = ("config.yaml", "profiles/default/config.yaml", "schemas/*.yaml", "scripts/*.py", "thumbmill/**/*")


def list_files(repository: Path = REPOSITORY) -> list[str]:
    """Return the paths of the files, relative to the repository."""
    files = {path for pattern in PATTERNS for path in repository.glob(pattern) if path.is_file()}
    names = sorted(str(path.relative_to(repository)) for path in files if "__pycache__" not in path.parts)
    return [name for name in names if name not in ("thumbmill/FILES", "thumbmill/__init__.py")] + [
        "thumbmill/__init__.py"
    ]


if __name__ == "__main__":
    print("\n".join(list_files()))
