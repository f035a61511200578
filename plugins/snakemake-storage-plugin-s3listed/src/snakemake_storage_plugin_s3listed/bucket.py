"""What is known of a bucket, from listings."""

import bisect
from typing import Any, NamedTuple

END = b"\xff"  # sorts after every key, because UTF-8 has no such byte


class ObjectInfo(NamedTuple):
    """An object: when it was stored, in seconds since the epoch, and its size in bytes."""

    mtime: float
    size: int


class Bucket:
    """The objects of a bucket in those ranges of keys that have been listed.

    Keys are in the store's order, that of their UTF-8 bytes.
    """

    def __init__(self, client: Any, name: str) -> None:
        """Start without any knowledge of the bucket `name`; `client` is boto3's."""
        self.client = client
        self.name = name
        self.objects: dict[str, ObjectInfo] = {}
        self.ranges: list[tuple[bytes, bytes]] = []  # sorted; each excludes its first key and includes its last

    def find(self, key: str) -> ObjectInfo | None:
        """Return the object `key`, or None if there is none. Raises botocore's errors."""
        if not self._is_listed(key.encode()):
            self._list_from(key)
        return self.objects.get(key)

    def added(self, key: str, info: ObjectInfo) -> None:
        """Note that an object has been stored."""
        self.objects[key] = info

    def removed(self, key: str) -> None:
        """Note that an object has been deleted."""
        self.objects.pop(key, None)

    def _is_listed(self, key: bytes) -> bool:
        """Return whether `key` lies in one of the ranges."""
        position = bisect.bisect_left(self.ranges, (key,)) - 1
        return position >= 0 and key <= self.ranges[position][1]

    def _list_from(self, key: str) -> None:
        """List 1,000 objects from shortly before `key` on, and more if these do not reach it."""
        after, end, wanted = key[:-1], b"", key.encode()
        while end < wanted:
            page = self.client.list_objects_v2(Bucket=self.name, StartAfter=after, MaxKeys=1000)
            entries = page.get("Contents", ())
            for entry in entries:
                self.objects[entry["Key"]] = ObjectInfo(entry["LastModified"].timestamp(), entry["Size"])
            last = entries[-1]["Key"] if page["IsTruncated"] else ""
            end = last.encode() or END
            bisect.insort(self.ranges, (after.encode(), end))
            after = last
