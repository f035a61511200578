"""Objects in an S3 store, for workflows with many of them: what is there is listed, 1,000 objects a request.

Asking the store about each file, as often as Snakemake does, takes some 20 requests a job. Here the first question
about an object brings its followers in the store's order along, and the answers are remembered: besides the one
request that fetches or stores an object there is hardly another.

A query is s3listed://<bucket>/<key>, in which %XX is a byte of the key, as in a URL. What Snakemake cannot write can be
written in this way: braces, a space at the end, an empty part.

Endpoint, region and keys are those of the AWS_... environment variables and files, as boto3 reads them. The endpoint
may also stand in SNAKEMAKE_STORAGE_S3_ENDPOINT_URL, where snakemake-storage-plugin-s3 has it. There are no settings, so
that no key is ever written to a file or a command line. Nobody else may change the objects while Snakemake runs.

It does not derive from snakemake-storage-plugin-s3, of which nothing would be left: that asks about each file, cuts
keys at # and ?, and deletes a bucket that it has emptied.

boto3 is imported when the first bucket is used: Snakemake imports this module at each start, of workflows without a
store too.
"""

import bisect
import functools
import mimetypes
import os
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import unquote

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_storage_plugins.storage_object import StorageObjectRead, StorageObjectWrite
from snakemake_interface_storage_plugins.storage_provider import (
    ExampleQuery,
    QueryType,
    StorageProviderBase,
    StorageQueryValidationResult,
)

SCHEME = "s3listed://"
END = b"\xff"  # after every key: UTF-8 has no such byte
ENDPOINT = "SNAKEMAKE_STORAGE_S3_ENDPOINT_URL"
PIECE = 1 << 20  # bytes that are fetched at a time

TYPES = mimetypes.MimeTypes()  # what a browser is told; these two are missing in some versions of Python
TYPES.add_type("image/webp", ".webp")
TYPES.add_type("image/avif", ".avif")


class Found(NamedTuple):
    """An object: when it was stored, in seconds since the epoch, and its size in bytes."""

    mtime: float
    size: int


class Bucket:
    """What is known of a bucket: its objects in some spans of keys, in the store's order (that of their UTF-8)."""

    def __init__(self, client, name: str):
        self.client = client
        self.name = name
        self.objects: dict[str, Found] = {}
        self.spans: list[tuple[bytes, bytes]] = []  # after the first key, up to and with the second; sorted

    def find(self, key: str) -> Found | None:
        """The object `key`, or None if there is none. Raises botocore's errors."""
        if not self.knows(key.encode()):
            self.list_around(key)
        return self.objects.get(key)

    def knows(self, key: bytes) -> bool:
        """Whether `key` lies in one of the spans."""
        place = bisect.bisect_left(self.spans, (key,)) - 1
        return place >= 0 and key <= self.spans[place][1]

    def list_around(self, key: str) -> None:
        """List from shortly before `key` on: 1,000 objects, and more if these do not reach it."""
        after, wanted = key[:-1], key.encode()
        while True:
            page = self.client.list_objects_v2(Bucket=self.name, StartAfter=after, MaxKeys=1000)
            entries = page.get("Contents", ())
            for entry in entries:
                self.objects[entry["Key"]] = Found(entry["LastModified"].timestamp(), entry["Size"])
            last = entries[-1]["Key"] if page["IsTruncated"] else None
            end = END if last is None else last.encode()
            bisect.insort(self.spans, (after.encode(), end))
            if wanted <= end:
                return
            after = last


def is_worth_telling(record) -> bool:
    """Whether Snakemake's log `record` is something else than that an object is stored as it should be.

    Snakemake tells so in three lines an object, which no setting switches off; its messages have no other mark.
    """
    return not str(record.msg).startswith(
        ("Storing in storage: ", "Finished upload.", "Removing local copy of storage")
    )


class StorageProvider(StorageProviderBase):
    """One connection, and what is known of each bucket."""

    def __post_init__(self):
        self.buckets: dict[str, Bucket] = {}
        self.logger.addFilter(is_worth_telling)

    @functools.cached_property
    def client(self):
        """boto3's. Raises WorkflowError if that is not installed."""
        try:
            import boto3
            from botocore.config import Config
        except ImportError:
            raise WorkflowError("object storage needs boto3: pip install boto3") from None
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        endpoint = endpoint or os.environ.get(ENDPOINT)
        config = Config(
            retries={"mode": "standard", "max_attempts": 5},
            connect_timeout=10,
            # Stores that are not Amazon's do not know the newer checksums (https://github.com/boto/boto3/issues/4435),
            # and few have a host name for each bucket.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path" if endpoint else "auto"},
        )
        return boto3.client("s3", endpoint_url=endpoint, config=config)

    def bucket(self, name: str) -> Bucket:
        """What is known of the bucket `name`."""
        if name not in self.buckets:
            self.buckets[name] = Bucket(self.client, name)
        return self.buckets[name]

    @classmethod
    def example_queries(cls) -> list[ExampleQuery]:
        """See StorageProviderBase."""
        return [ExampleQuery(f"{SCHEME}mybucket/myfile.txt", "A file in an S3 bucket", QueryType.ANY)]

    def use_rate_limiter(self) -> bool:
        """There are too few requests to limit."""
        return False

    def default_max_requests_per_second(self) -> float:
        """Not asked for: see use_rate_limiter()."""
        return float("inf")

    def rate_limiter_key(self, query: str, operation) -> str:
        """Not asked for: see use_rate_limiter()."""
        return query

    @classmethod
    def is_valid_query(cls, query: str) -> StorageQueryValidationResult:
        """Whether `query` names a bucket and a key."""
        bucket, _, key = query.removeprefix(SCHEME).partition("/")
        valid = query.startswith(SCHEME) and bool(bucket and key)
        return StorageQueryValidationResult(query, valid, None if valid else f"must be {SCHEME}<bucket>/<key>")

    def safe_print(self, query: str) -> str:
        """What the user calls the object."""
        return f"s3://{unquote(query.removeprefix(SCHEME))}"


class StorageObject(StorageObjectRead, StorageObjectWrite):
    """An object. Its methods raise botocore's errors, which Snakemake reports with the object's name."""

    def __post_init__(self):
        bucket, _, key = self.query.removeprefix(SCHEME).partition("/")
        self.bucket_name, self.key = bucket, unquote(key)

    @property
    def bucket(self) -> Bucket:
        """What is known of its bucket."""
        return self.provider.bucket(self.bucket_name)

    def local_suffix(self) -> str:
        """Its path below Snakemake's folder for local copies."""
        return self.query.removeprefix(SCHEME)

    async def inventory(self, cache) -> None:
        """Nothing: the listing is an inventory of its own, of outputs too, and after the DAG is built."""

    def get_inventory_parent(self) -> None:
        """See inventory()."""

    def cleanup(self) -> None:
        """Nothing is left."""

    def exists(self) -> bool:
        """Whether it is in the store."""
        return self.bucket.find(self.key) is not None

    def mtime(self) -> float:
        """When it was stored, in seconds since the epoch. Raises FileNotFoundError."""
        return self.found().mtime

    def size(self) -> int:
        """Its size in bytes. Raises FileNotFoundError."""
        return self.found().size

    def found(self) -> Found:
        """What the store tells of it. Raises FileNotFoundError."""
        found = self.bucket.find(self.key)
        if found is None:
            raise FileNotFoundError(self.print_query)
        return found

    def retrieve_object(self) -> None:
        """Copy it to local_path()."""
        answer = self.provider.client.get_object(Bucket=self.bucket_name, Key=self.key)
        with open(self.local_path(), "wb") as file:
            for piece in answer["Body"].iter_chunks(PIECE):
                file.write(piece)

    def store_object(self) -> None:
        """Store the file at local_path(), of at most 5 GB (what the store takes in one request)."""
        path = self.local_path()
        content_type = TYPES.guess_type(path.name, strict=False)[0] or "application/octet-stream"
        with open(path, "rb") as file:
            answer = self.provider.client.put_object(
                Bucket=self.bucket_name, Key=self.key, Body=file, ContentType=content_type
            )
        date = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        self.bucket.objects[self.key] = Found(date.timestamp(), os.path.getsize(path))

    def remove(self) -> None:
        """Delete it, and nothing else."""
        self.provider.client.delete_object(Bucket=self.bucket_name, Key=self.key)
        self.bucket.objects.pop(self.key, None)
