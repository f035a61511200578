"""The storage provider and its objects, as Snakemake's interface asks for them.

Both stand in one module, because the interface looks for `StorageObject` beside `StorageProvider`.
"""

import functools
import logging
import mimetypes
import os
import re
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote

from snakemake_interface_storage_plugins.common import Operation
from snakemake_interface_storage_plugins.io import IOCacheStorageInterface
from snakemake_interface_storage_plugins.storage_object import StorageObjectRead, StorageObjectWrite
from snakemake_interface_storage_plugins.storage_provider import (
    ExampleQuery,
    QueryType,
    StorageProviderBase,
    StorageQueryValidationResult,
)

from .bucket import Bucket, ObjectInfo
from .client import connect

SCHEME = "s3listed://"
CHUNK_BYTES = 1 << 20  # downloaded at a time

# What a local path cannot keep as it is: parts that are empty, `.` or `..`, and a slash at the end.
AMBIGUOUS = re.compile(r"(?<=/)(?:/|\.{1,2}(?=/|$))|/$")

ROUTINE_MESSAGES = ("Storing in storage: ", "Finished upload.", "Removing local copy of storage")


def is_worth_logging(record: logging.LogRecord) -> bool:
    """Return False for the three lines that Snakemake logs for each object that it has stored as it should.

    No setting switches these lines off, and nothing but their text distinguishes them from other messages.
    """
    return not str(record.msg).startswith(ROUTINE_MESSAGES)


class StorageProvider(StorageProviderBase):
    """One connection to a store, and what is known of each bucket.

    It has no settings, so that keys are never written to a file or a command line.
    """

    def __post_init__(self) -> None:
        self.buckets: dict[str, Bucket] = {}
        self.logger.addFilter(is_worth_logging)

    @functools.cached_property
    def client(self) -> Any:
        """boto3's client, see connect()."""
        return connect()

    def bucket(self, name: str) -> Bucket:
        """Return what is known of the bucket `name`."""
        if name not in self.buckets:
            self.buckets[name] = Bucket(self.client, name)
        return self.buckets[name]

    @classmethod
    def example_queries(cls) -> list[ExampleQuery]:
        """Return an example for Snakemake's documentation."""
        return [ExampleQuery(f"{SCHEME}mybucket/myfile.txt", "A file in an S3 bucket", QueryType.ANY)]

    def use_rate_limiter(self) -> bool:
        """Return False: there are too few requests to limit."""
        return False

    def default_max_requests_per_second(self) -> float:
        """Return infinity; never used, because there is no rate limiter."""
        return float("inf")

    def rate_limiter_key(self, query: str, operation: Operation) -> str:
        """Return the query; never used, because there is no rate limiter."""
        return query

    @classmethod
    def is_valid_query(cls, query: str) -> StorageQueryValidationResult:
        """Return whether `query` names a bucket and a key."""
        bucket, _, key = query.removeprefix(SCHEME).partition("/")
        valid = query.startswith(SCHEME) and bool(bucket and key)
        return StorageQueryValidationResult(query, valid, None if valid else f"must be {SCHEME}<bucket>/<key>")

    def safe_print(self, query: str) -> str:
        """Return the object's name as messages have it."""
        return f"s3://{unquote(query.removeprefix(SCHEME))}"


class StorageObject(StorageObjectRead, StorageObjectWrite):
    """An object. Its methods raise botocore's errors, which Snakemake reports with the object's name."""

    provider: StorageProvider

    def __post_init__(self) -> None:
        bucket, _, key = self.query.removeprefix(SCHEME).partition("/")
        self.bucket_name, self.key = bucket, unquote(key)

    @property
    def bucket(self) -> Bucket:
        """What is known of its bucket."""
        return self.provider.bucket(self.bucket_name)

    def local_suffix(self) -> str:
        """Return its path below Snakemake's folder for local copies, a different one for each key."""
        path = self.query.removeprefix(SCHEME)
        return AMBIGUOUS.sub(lambda match: "".join(f"%{ord(character):02X}" for character in match[0]), path)

    async def inventory(self, cache: IOCacheStorageInterface) -> None:
        """Do nothing: the listing is an inventory, which also has outputs and stays current after the DAG is built."""

    def get_inventory_parent(self) -> None:
        """Return None, see inventory()."""

    def cleanup(self) -> None:
        """Do nothing: nothing is left to clean up."""

    def exists(self) -> bool:
        """Return whether it is in the store."""
        return self.bucket.find(self.key) is not None

    def mtime(self) -> float:
        """Return when it was stored, in seconds since the epoch. Raises FileNotFoundError."""
        return self._info().mtime

    def size(self) -> int:
        """Return its size in bytes. Raises FileNotFoundError."""
        return self._info().size

    def _info(self) -> ObjectInfo:
        info = self.bucket.find(self.key)
        if info is None:
            raise FileNotFoundError(self.print_query)
        return info

    def retrieve_object(self) -> None:
        """Download it to local_path()."""
        response = self.provider.client.get_object(Bucket=self.bucket_name, Key=self.key)
        with open(self.local_path(), "wb") as file:
            for chunk in response["Body"].iter_chunks(CHUNK_BYTES):
                file.write(chunk)

    def store_object(self) -> None:
        """Upload the file at local_path(), at most 5 GB (what S3 accepts in one request)."""
        path = self.local_path()
        with open(path, "rb") as file:
            response = self.provider.client.put_object(
                Bucket=self.bucket_name, Key=self.key, Body=file, ContentType=content_type(path.name)
            )
        date = parsedate_to_datetime(response["ResponseMetadata"]["HTTPHeaders"]["date"])
        self.bucket.added(self.key, ObjectInfo(date.timestamp(), os.path.getsize(path)))

    def remove(self) -> None:
        """Delete it, and nothing else."""
        self.provider.client.delete_object(Bucket=self.bucket_name, Key=self.key)
        self.bucket.removed(self.key)


@functools.cache
def media_types() -> mimetypes.MimeTypes:
    """Return Python's table of file extensions, with two that are missing in some versions."""
    types = mimetypes.MimeTypes()
    types.add_type("image/webp", ".webp")
    types.add_type("image/avif", ".avif")
    return types


def content_type(name: str) -> str:
    """Return the media type that a browser should be sent for a file of this name."""
    return media_types().guess_type(name, strict=False)[0] or "application/octet-stream"
