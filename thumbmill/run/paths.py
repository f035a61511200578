"""Where a run keeps its logs and lists, in the working directory."""

from typing import NamedTuple

STORAGE_COPIES = ".snakemake/storage"  # where Snakemake keeps its copies of objects


class RunPaths(NamedTuple):
    """The files and folders that a run writes besides thumbnails. A Snakemake module's `prefix:` moves all of them."""

    failures: str = "logs/failures.tsv"
    warnings: str = "logs/warnings.tsv"
    job_logs: str = "logs/thumbnail"  # the rule `thumbnail` names each log in it after its picture
    logs: str = "logs"
    manifest: str = "manifest"
    gallery: str = "gallery"

    def job_log(self, wildcard: str) -> str:
        """Return the log of a picture's job."""
        return f"{self.job_logs}/{wildcard}.log"
