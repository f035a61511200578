"""Where pictures and thumbnails are: a folder, or a prefix in object storage (s3://<bucket>/<prefix>).

Both answer the same questions, so that nothing else has to know which of the two it deals with.
"""

import contextlib
import functools
import os
import re
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator
from typing import Any, ClassVar

from thumbmill.catalog.digests import content_digest
from thumbmill.catalog.exclusion import Exclusion
from thumbmill.catalog.picture import Picture, Stamp, is_picture_name
from thumbmill.errors import CatalogError, StoreError
from thumbmill.files import join_path
from thumbmill.text import one_line

S3_SCHEME = "s3://"
QUERY_SCHEME = "s3listed://"  # what snakemake-storage-plugin-s3listed reads, with %XX for bytes
ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "SNAKEMAKE_STORAGE_S3_ENDPOINT_URL")
CHUNK = 1 << 20  # bytes fetched at a time

# A bucket's name, and a prefix without empty parts and parts of dots.
S3_LOCATION = re.compile(r"s3://[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9](/(?!\.{1,2}(/|$))[^/]+)*")

# What a query writes as %XX: the sign itself, what Snakemake takes for wildcards, path variables and line ends, and the
# second of two slashes, which would become one in a path.
QUOTED = re.compile(r"[%{}<>\x00-\x1f\x7f]|(?<=/)/|^/")

# Several thumbmill settings name other stores that people try; each gets an error that says what works instead.
OTHER_SCHEMES = ("s3:", "gs://", "http://", "https://")


FolderId = tuple[int, int]  # device, inode


class Store(ABC):
    """A place that holds files under names; `location` is what the settings call it."""

    is_remote: ClassVar[bool]

    def __init__(self, location: str):
        self.location = location

    @abstractmethod
    def path(self, name: str) -> str:
        """Return the path of the file `name`, as the user knows it."""

    @abstractmethod
    def snakemake_path(self, path: str) -> str:
        """Return what Snakemake has to be given for the file at `path`."""

    @abstractmethod
    def identity(self) -> str:
        """Return the location in its one canonical form, whatever the settings call it."""

    @abstractmethod
    def list_pictures(
        self, excluded: Iterable[str], exclusion: Exclusion, extensions: Collection[str]
    ) -> Iterator[Picture]:
        """Yield every picture, by its extension, in no particular order.

        Except those below the `excluded` locations, and what the `exclusion` matches.

        Hidden files and folders are left out. Raises CatalogError if the location itself cannot be listed.
        """

    @abstractmethod
    def refresh(self, picture: Picture) -> Picture:
        """Return `picture` as it is now."""

    @abstractmethod
    def digest(self, picture: Picture) -> str:
        """Return what differs between two contents of a picture; "" if it cannot be read."""

    @abstractmethod
    def stamps(self, paths: Iterable[str]) -> list[Stamp] | None:
        """Return the stamp of each file; None if one is missing. Raises StoreError."""

    @abstractmethod
    def forget_stamps(self) -> None:
        """Look again when asked for stamps, since files were written."""

    @abstractmethod
    def check(self) -> None:
        """Raise StoreError if the location cannot be used."""

    @abstractmethod
    def fetch(self, path: str) -> contextlib.AbstractContextManager[str]:
        """Return a context whose value is a local file with the content of `path`. Raises StoreError."""


def open_store(location: str) -> Store:
    """Return the store at a location of the settings: a folder, or s3://<bucket>/<prefix>."""
    return S3Prefix(location) if location.startswith(S3_SCHEME) else LocalFolder(location)


class LocalFolder(Store):
    """A folder of a file system."""

    is_remote = False

    def path(self, name: str) -> str:
        return join_path(self.location, name)

    def snakemake_path(self, path: str) -> str:
        return path

    def identity(self) -> str:
        return os.path.realpath(self.location)

    def list_pictures(
        self, excluded: Iterable[str], exclusion: Exclusion, extensions: Collection[str]
    ) -> Iterator[Picture]:
        """Yield every picture below the folder; links are followed, wherever they lead.

        A folder reached once more through a link inside itself is left out, which would never end.
        """
        source = self.location
        if not os.path.isdir(source):
            raise CatalogError(
                f"the source folder {source!r} does not exist (seen from {os.getcwd()!r}): "
                "create it, mount it, or set `source` in config.yaml"
            )
        excluded_ids = {folder_id(os.stat(folder)) for folder in excluded if os.path.isdir(folder)}
        open_folders: list[tuple[str, tuple[FolderId, ...]]] = [("", (folder_id(os.stat(source)),))]
        while open_folders:
            folder, ancestors = open_folders.pop()
            try:
                entries = list(os.scandir(os.path.join(source, folder)))
            except OSError as error:
                if not folder:
                    raise CatalogError(f"the source folder {source!r} cannot be listed: {error.strerror}") from error
                yield Picture(f"{folder}/", 0, readable=False)
                continue
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                name = os.path.join(folder, entry.name)
                is_picture = is_picture_name(entry.name, extensions)
                try:
                    is_folder = entry.is_dir()
                    if (not is_folder and not is_picture) or exclusion.matches(name, is_folder):
                        continue
                    status = entry.stat()
                except OSError:  # a link in a circle, or to a place that may not be looked into
                    if is_picture and not exclusion.matches(name, is_folder=False):
                        yield Picture(name, 0, readable=False)
                    continue
                if is_folder:
                    found = folder_id(status)
                    if found not in ancestors and found not in excluded_ids:
                        open_folders.append((name, (*ancestors, found)))
                elif entry.is_file():
                    time, mark = status.st_mtime_ns, status.st_ctime_ns
                    if entry.is_symlink():
                        link = entry.stat(follow_symlinks=False)
                        time, mark = max(time, link.st_mtime_ns), mark + link.st_ctime_ns
                    yield Picture(name, status.st_size, os.access(entry.path, os.R_OK), time, mark)

    def refresh(self, picture: Picture) -> Picture:
        path = self.path(picture.name)
        try:
            status, link = os.stat(path), os.lstat(path)
        except OSError:
            return picture._replace(readable=False)
        # A folder that cannot be listed is in the catalogue with a slash.
        readable = os.access(path, os.R_OK) and not path.endswith("/")
        time, mark = max(status.st_mtime_ns, link.st_mtime_ns), status.st_ctime_ns
        if os.path.islink(path):
            mark += link.st_ctime_ns
        return picture._replace(bytes=status.st_size, time=time, readable=readable, mark=mark)

    def digest(self, picture: Picture) -> str:
        try:
            return content_digest(self.path(picture.name))
        except OSError:
            return ""

    def stamps(self, paths: Iterable[str]) -> list[Stamp] | None:
        try:
            return [Stamp(status.st_mtime_ns, status.st_size) for status in map(os.stat, paths)]
        except OSError:
            return None

    def forget_stamps(self) -> None:
        pass  # nothing is kept

    def check(self) -> None:
        pass  # preflight.check_output() looks at each folder of thumbnails

    @contextlib.contextmanager
    def fetch(self, path: str) -> Iterator[str]:
        yield path


class S3Prefix(Store):
    """The objects below s3://<bucket>/<prefix>; endpoint, region and keys come from the environment."""

    is_remote = True

    def path(self, name: str) -> str:
        return f"{self.location}/{name}"  # not joined: a key may hold an empty part

    def snakemake_path(self, path: str) -> str:
        return f"{QUERY_SCHEME}{quote_key(path.removeprefix(S3_SCHEME))}"

    def identity(self) -> str:
        return self.location

    def list_pictures(
        self, excluded: Iterable[str], exclusion: Exclusion, extensions: Collection[str]
    ) -> Iterator[Picture]:
        inside = f"{self.location}/"
        hidden = tuple(f"{folder}/".removeprefix(inside) for folder in excluded if folder.startswith(inside))
        try:
            for name, stamp, tag in list_objects(self.location):
                is_hidden = name.startswith((".", *hidden)) or "/." in name
                if is_picture_name(name, extensions) and not is_hidden and not exclusion.covers(name):
                    yield Picture(name, stamp.bytes, True, stamp.time, tag)
        except StoreError as error:
            raise CatalogError(str(error)) from error

    def refresh(self, picture: Picture) -> Picture:
        return picture  # as it was listed: asking again would be a request for each

    def digest(self, picture: Picture) -> str:
        return str(picture.mark)  # an upload in parts of another size has another ETag, but also a new date

    @functools.cached_property
    def _stamps(self) -> dict[str, Stamp]:
        """Path -> stamp of all objects, from one listing."""
        return {self.path(name): stamp for name, stamp, _ in list_objects(self.location)}

    def stamps(self, paths: Iterable[str]) -> list[Stamp] | None:
        found = [self._stamps.get(path) for path in paths]
        return None if None in found else [stamp for stamp in found if stamp]

    def forget_stamps(self) -> None:
        vars(self).pop("_stamps", None)

    def check(self) -> None:
        for _ in list_objects(self.location, at_most=1):
            pass

    @contextlib.contextmanager
    def fetch(self, path: str) -> Iterator[str]:
        """Yield the path of a temporary copy of the object, which is deleted afterwards. Raises StoreError."""
        bucket, key = split_location(path)
        with tempfile.NamedTemporaryFile(prefix="thumbmill-") as file:
            with plain_store_errors("it"):
                for chunk in connect().get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(CHUNK):
                    file.write(chunk)
            file.flush()
            yield file.name


def folder_id(status: os.stat_result) -> FolderId:
    """Return what distinguishes a folder from all others, however it is reached."""
    return status.st_dev, status.st_ino


def split_location(location: str) -> tuple[str, str]:
    """Return bucket and key of s3://<bucket>/<key>."""
    bucket, _, key = location.removeprefix(S3_SCHEME).partition("/")
    return bucket, key


def quote_key(text: str) -> str:
    """Return `text` with %XX for what a query cannot hold; urllib.parse.unquote() reverses it."""
    return QUOTED.sub(lambda match: percent_encode(match[0]), text)


def percent_encode(text: str) -> str:
    """Return each byte of `text` (of a file name, in whatever encoding) as %XX."""
    return "".join(f"%{byte:02X}" for byte in os.fsencode(text))


@functools.cache
def connect() -> Any:
    """Return boto3's S3 client; endpoint, region and keys come from the environment. Raises StoreError."""
    try:
        import boto3  # an extra: only for those who have pictures there
        import botocore.exceptions
        from botocore.config import Config
    except ImportError:
        raise StoreError("pictures in object storage need boto3, which is not installed: pip install '.[s3]'") from None
    endpoint = next((os.environ[name] for name in ENDPOINT_VARIABLES if os.environ.get(name)), None)
    # The storage plugin, which shares no code with thumbmill, configures its client in the same way.
    config = Config(
        retries={"mode": "standard", "max_attempts": 5},
        connect_timeout=10,
        # Stores that are not Amazon's do not know the newer checksums (https://github.com/boto/boto3/issues/4435), and
        # few have a host name for each bucket.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if endpoint else "auto"},
    )
    try:
        return boto3.client("s3", endpoint_url=endpoint, config=config)
    except (botocore.exceptions.BotoCoreError, ValueError) as error:
        raise StoreError(f"the object storage cannot be used: {one_line(error).rstrip('.')}") from error


@contextlib.contextmanager
def plain_store_errors(path: str) -> Iterator[None]:
    """Raise StoreError, in one line about `path`, for what botocore raises."""
    connect()  # so that botocore is there
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    try:
        yield
    except NoCredentialsError as error:
        raise StoreError(
            f"no keys for {path}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"
        ) from error
    except ClientError as error:
        answer = error.response.get("Error", {})
        reason = one_line(f"{answer.get('Code')}: {answer.get('Message')}").rstrip(".")
        raise StoreError(f"the store refuses {path} ({reason})") from error
    except BotoCoreError as error:
        raise StoreError(f"the store cannot be reached for {path}: {one_line(error).rstrip('.')}") from error


def list_objects(location: str, at_most: int | None = None) -> Iterator[tuple[str, Stamp, str]]:
    """Yield (path below `location`, stamp, ETag) of the objects there, sorted by the key's bytes.

    A request lists 1,000. With `at_most`, only that number (up to 1,000). Raises StoreError.
    """
    bucket, key = split_location(location)
    prefix = f"{key}/" if key else ""
    with plain_store_errors(location):
        pages = (
            connect()
            .get_paginator("list_objects_v2")
            .paginate(Bucket=bucket, Prefix=prefix, PaginationConfig={"PageSize": at_most or 1000, "MaxItems": at_most})
        )
        for page in pages:
            for entry in page.get("Contents", ()):
                time = round(entry["LastModified"].timestamp() * 1000) * 1_000_000
                yield entry["Key"][len(prefix) :], Stamp(time, entry["Size"]), entry.get("ETag", "").strip('"')
