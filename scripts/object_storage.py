"""Pictures and thumbnails in object storage (S3): s3://<bucket>/<prefix> as the source or the output folder."""

import contextlib
import functools
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator

REMOTE = "s3://"
QUERY = "s3listed://"  # how src/snakemake_storage_plugin_s3listed writes it, with %XX for bytes
ENDPOINT = "SNAKEMAKE_STORAGE_S3_ENDPOINT_URL"  # snakemake-storage-plugin-s3 has it there
PIECE = 1 << 20  # bytes that are fetched at a time

# A bucket's name, and a prefix without empty parts and parts of dots.
PLACE = re.compile(r"s3://[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9](/(?!\.{1,2}(/|$))[^/]+)*")

# What is written as %XX: the sign itself, what Snakemake takes for wildcards, path variables and ends of lines, and the
# second of two slashes, which would become one in a path.
QUOTED = re.compile(r"[%{}<>\x00-\x1f\x7f]|(?<=/)/|^/")


class StoreError(OSError):
    """The store cannot be used, or an object not be fetched; the message says in one line why, and what to do."""


def is_remote(path: str) -> bool:
    """Whether `path` is in object storage."""
    return path.startswith(REMOTE)


def split(path: str) -> tuple[str, str]:
    """Bucket and key of s3://<bucket>/<key>."""
    bucket, _, key = path.removeprefix(REMOTE).partition("/")
    return bucket, key


def quote(text: str) -> str:
    """`text` with %XX for what Snakemake cannot write; urllib.parse.unquote() undoes it."""
    return QUOTED.sub(lambda match: percent(match[0]), text)


def percent(text: str) -> str:
    """Each byte of `text` as %XX."""
    return "".join(f"%{byte:02X}" for byte in text.encode())


def query(path: str) -> str:
    """What the storage plugin calls the object at `path`."""
    return f"{QUERY}{quote(path.removeprefix(REMOTE))}"


def as_objects(paths: Iterable[str], storage, retrieve: bool = True) -> list:
    """`paths`, in which queries become objects of Snakemake's `storage`.

    Snakemake copies those to `retrieve` before a job starts and after it has ended.
    """
    return [storage.s3listed(path, retrieve=retrieve) if path.startswith(QUERY) else path for path in paths]


def input_objects(function: Callable, storage) -> Callable:
    """An input function like `function`, in whose answer queries are objects of Snakemake's `storage`.

    The job fetches them itself, in its worker: side by side, and what cannot be fetched fails alone.
    """
    return lambda wildcards: as_objects(function(wildcards), storage, retrieve=False)


@functools.cache
def connect():
    """boto3's client; endpoint, region and keys are those of the environment. Raises StoreError."""
    try:
        import boto3
        import botocore.exceptions
        from botocore.config import Config
    except ImportError:
        raise StoreError("pictures in object storage need boto3, which is not installed: pip install '.[s3]'") from None
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or os.environ.get(ENDPOINT)
    # The same stands in src/snakemake_storage_plugin_s3listed, which shares no code with these scripts.
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
        raise StoreError(f"the object storage cannot be used: {one_line(error)}") from error


@contextlib.contextmanager
def told_plainly(path: str) -> Iterator[None]:
    """Raises StoreError, about `path`, for what botocore raises."""
    connect()  # so that botocore is there
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    try:
        yield
    except NoCredentialsError as error:
        raise StoreError(
            f"no keys for {path}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"
        ) from error
    except ClientError as error:
        told = error.response.get("Error", {})
        reason = one_line(f"{told.get('Code')}: {told.get('Message')}")
        raise StoreError(f"the store refuses {path} ({reason})") from error
    except BotoCoreError as error:
        raise StoreError(f"the store cannot be reached for {path}: {one_line(error)}") from error


def one_line(text: object) -> str:
    """`text` as a single line without a full stop."""
    return " ".join(str(text).split()).rstrip(".")


def list_objects(folder: str, at_most: int | None = None) -> Iterator[tuple[str, int, int]]:
    """The objects below `folder` (s3://<bucket>/<prefix>), 1,000 a request, in the order of their keys' bytes.

    Of each its path below `folder`, its size in bytes and when it was stored, in nanoseconds since the epoch. With
    `at_most`, only so many (up to 1,000). Raises StoreError.
    """
    bucket, key = split(folder)
    prefix = f"{key}/" if key else ""
    with told_plainly(folder):
        pages = (
            connect()
            .get_paginator("list_objects_v2")
            .paginate(Bucket=bucket, Prefix=prefix, PaginationConfig={"PageSize": at_most or 1000, "MaxItems": at_most})
        )
        for page in pages:
            for entry in page.get("Contents", ()):
                time = round(entry["LastModified"].timestamp() * 1000) * 1_000_000
                yield entry["Key"][len(prefix) :], entry["Size"], time


def check(folder: str) -> None:
    """Raises StoreError if the objects below `folder` cannot be listed."""
    for _ in list_objects(folder, at_most=1):
        pass


def list_files(folder: str) -> dict[str, list[int]]:
    """What is below `folder`: path -> [time in nanoseconds since the epoch, size in bytes]. Raises StoreError."""
    return {f"{folder}/{name}": [time, size] for name, size, time in list_objects(folder)}


@contextlib.contextmanager
def local_copy(path: str) -> Iterator[str]:
    """The path of a file with the content of `path`: itself, or a copy of the object, which is deleted afterwards.

    Raises StoreError.
    """
    if not is_remote(path):
        yield path
        return
    bucket, key = split(path)
    with tempfile.NamedTemporaryFile(prefix="thumbmill-") as file:
        with told_plainly("it"):
            for piece in connect().get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(PIECE):
                file.write(piece)
        file.flush()
        yield file.name
