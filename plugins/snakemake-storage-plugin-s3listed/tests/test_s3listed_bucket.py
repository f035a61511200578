"""What is known of a bucket, and how often the store is asked: with a client that does not leave the process."""

from datetime import UTC, datetime

from snakemake_storage_plugin_s3listed.bucket import Bucket, ObjectInfo


class FakeClient:
    """A store with these keys, which counts how often it is asked."""

    def __init__(self, keys):
        self.keys = sorted(keys, key=str.encode)
        self.asked = 0

    def list_objects_v2(self, Bucket, StartAfter, MaxKeys):
        self.asked += 1
        after = [key for key in self.keys if key.encode() > StartAfter.encode()]
        date = datetime(2026, 1, 1, tzinfo=UTC)
        contents = [{"Key": key, "LastModified": date, "Size": len(key)} for key in after[:MaxKeys]]
        return {"Contents": contents, "IsTruncated": len(after) > MaxKeys}


def test_one_request_answers_for_a_thousand_objects():
    keys = [f"p/{number:05}.txt" for number in range(5000)]
    client = FakeClient(keys)
    bucket = Bucket(client, "shop")

    assert all(bucket.find(key).size == len(key) for key in keys)
    assert bucket.find("p/00003.csv") is None and bucket.find("q") is None
    assert client.asked <= 6


def test_questions_in_any_order_are_answered_as_the_store_would():
    keys = [f"{number * 7919 % 10007:x}" for number in range(4000)]
    bucket = Bucket(FakeClient(keys), "shop")
    there = set(keys)
    for number in range(0, 10007, 3):
        key = f"{number * 31 % 10007:x}"
        assert (bucket.find(key) is not None) == (key in there), key


def test_a_listing_goes_on_until_it_reaches_the_key():
    client = FakeClient([f"a{number:05}" for number in range(2500)] + ["aé"])
    bucket = Bucket(client, "shop")

    assert bucket.find("aé").size == 2
    assert client.asked == 3


def test_an_empty_bucket_is_asked_once():
    client = FakeClient([])
    bucket = Bucket(client, "shop")
    assert bucket.find("a") is None and bucket.find("é") is None
    assert client.asked <= 2


def test_own_changes_are_known_without_asking():
    client = FakeClient(["a", "b"])
    bucket = Bucket(client, "shop")
    assert bucket.find("a") and bucket.find("c") is None
    asked = client.asked
    bucket.removed("a")
    bucket.removed("never there")
    bucket.added("c", ObjectInfo(7.0, 5))
    assert bucket.find("a") is None and bucket.find("c") == (7.0, 5)
    assert client.asked == asked
