"""The errors that thumbmill reports to its user. Each message is complete: what happened, to what, and what to do.

    UserError
    ├── SettingsError      a setting is unknown, out of range, or contradicts another
    ├── CatalogError       the source folder is missing, empty, or holds pictures that would share a thumbnail
    ├── StoreError         the object storage cannot be used, or refuses an object
    ├── FolderError        a folder that a run has to write to cannot be written
    ├── LockError          another run is making thumbnails in the same output folder
    ├── OrphansError       orphans cannot be removed
    ├── ReportError        a manifest or gallery cannot be made
    ├── ShardError         a shard did not make all its pictures
    └── PictureError       one picture cannot be made into thumbnails; carries a Failure
        └── MemoryLimitError   because it needs more memory than its worker may use

`exit_on_user_error` is the one place that catches them all.
"""

import contextlib
import sys
from collections.abc import Iterator

from thumbmill.failures import Failure


class UserError(Exception):
    """Something the user can put right; the message says how."""


class SettingsError(UserError):
    """The settings cannot be used."""


class CatalogError(UserError):
    """The source folder cannot be used as a catalogue."""


class StoreError(UserError):
    """The object storage cannot be used, or an object cannot be fetched."""


class FolderError(UserError):
    """A folder cannot be written."""


class LockError(UserError):
    """Another run is in the way."""


class OrphansError(UserError):
    """Orphans cannot be found or removed."""


class ReportError(UserError):
    """A manifest or gallery cannot be made."""


class ShardError(UserError):
    """A shard did not make all its pictures."""


class PictureError(UserError):
    """One picture cannot be made into thumbnails."""

    def __init__(self, failure: Failure):
        super().__init__(failure.text)
        self.failure = failure


class MemoryLimitError(PictureError):
    """A picture needs more memory than this process may use."""


@contextlib.contextmanager
def exit_on_user_error() -> Iterator[None]:
    """End the process with one line on standard error if a UserError is raised inside the block.

    Raises SystemExit.
    """
    try:
        yield
    except UserError as error:
        sys.exit(f"thumbmill: {error}")
