"""Pictures and thumbnails in object storage: whole runs against moto's server, whose requests are counted."""

import contextlib
import io
import json
import logging
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import yaml
from PIL import Image

from tests.support.shop import REPOSITORY, Run, Shop
from thumbmill.catalog import store as stores
from thumbmill.errors import StoreError

KEY, SECRET = "AKIATHUMBMILL", "a-secret-that-nobody-may-see"

# Keys, and the names of their thumbnails.
UNUSUAL = {
    "a #1?50%.jpg": "a #1?50%.jpg",
    "{colour} <b>.jpg": "%7Bcolour%7D %3Cb%3E.jpg",
    "ü ünï.jpg": "ü ünï.jpg",
    "double//slash.jpg": "double/%2Fslash.jpg",
    "tail .jpg": "tail%20.jpg",
    "a" * 30 + ".jpg": "a" * 29 + "%61.jpg",
    "%41.jpg": "%41.jpg",
}


class Store:
    """A bucket `shop`, and a working directory without pictures."""

    def __init__(self, shop: Shop, client: Any, requests: list[str]):
        self.shop, self.client, self.requests = shop, client, requests
        client.create_bucket(Bucket="shop")

    def put(self, key: str, colour: str = "red", width: int = 60, **options: Any) -> None:
        """Draw a picture as the object pictures/<key>."""
        file = io.BytesIO()
        Image.new("RGB", (width, 40), colour).save(file, "JPEG")
        self.client.put_object(Bucket="shop", Key=f"pictures/{key}", Body=file.getvalue(), **options)

    def thumbnails(self) -> set[str]:
        """Return the keys below thumbs/thumb/."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket="shop", Prefix="thumbs/thumb/")
        return {entry["Key"].removeprefix("thumbs/thumb/") for page in pages for entry in page.get("Contents", ())}

    def run(
        self,
        *arguments: str,
        source: str = "s3://shop/pictures",
        output: str = "s3://shop/thumbs",
        profile: Path = REPOSITORY / "profiles/default",
        **settings: str,
    ) -> tuple[Run, Counter]:
        """Run Snakemake, and count the requests: list, GET, PUT, DELETE, HEAD, POST."""
        self.requests.clear()
        settings |= {"source": source, "output": output}
        config = [f"{name}={value}" for name, value in settings.items()]
        run = self.shop.run(*arguments, "--workflow-profile", profile, "--config", *config)
        kinds = Counter("list" if "list-type=2" in request else request.split()[0] for request in self.requests)
        assert SECRET not in run.text
        return run, kinds


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, list[str]]]:
    """The address of moto's server, and the requests that it receives."""
    moto = pytest.importorskip("moto.server", reason="moto is not installed: pip install '.[test-s3]'")
    pytest.importorskip("boto3", reason="boto3 is not installed: pip install '.[s3]'")
    requests: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = re.sub(r"\x1b\[[0-9;]*m", "", record.getMessage())  # without colours
            if request := re.search(r'"([A-Z]+ \S+) HTTP', text):
                requests.append(request[1])

    logger, handler = logging.getLogger("werkzeug"), Handler()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    running = moto.ThreadedMotoServer(port=0)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}", requests
    running.stop()
    logger.removeHandler(handler)


@pytest.fixture
def store(server, shop, monkeypatch) -> Store:
    """An empty store."""
    import boto3

    address, requests = server
    for name, value in {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_ENDPOINT_URL": address,
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    stores.connect.cache_clear()
    reset(address)
    return Store(shop, boto3.client("s3"), requests)


def reset(address: str) -> None:
    """Empty the server."""
    urlopen(Request(f"{address}/moto-api/reset", method="POST")).close()


@contextlib.contextmanager
def keys_checked(address: str) -> Iterator[None]:
    """Let the server refuse unknown keys, and what a user has no permission for."""

    def let_pass(requests: bytes) -> None:
        headers = {"Content-Type": "text/plain"}
        urlopen(Request(f"{address}/moto-api/reset-auth", requests, headers, method="POST")).close()

    let_pass(b"0")
    try:
        yield
    finally:
        let_pass(b"inf")


@pytest.mark.slow
def test_a_catalogue_in_a_store_from_the_first_run_on(store):
    names = [*(f"{number:03}.jpg" for number in range(40)), *UNUSUAL]
    for name in names:
        store.put(name)

    first, requests = store.run()
    assert first.code == 0, first.text
    assert first.last_lines[0] == f"thumbmill: {len(names)} made, 0 up to date, 0 failed"
    assert store.thumbnails() == {UNUSUAL.get(name, name) for name in names}
    assert requests["GET"] == requests["PUT"] == len(names)
    assert requests.total() <= 2 * len(names) + 12, requests
    assert "Storing in storage" not in first.text and "Finished upload" not in first.text

    again, requests = store.run()
    assert again.code == 0 and again.last_lines[0] == f"thumbmill: 0 made, {len(names)} up to date, 0 failed"
    assert requests.total() == requests["list"] <= 6, requests

    dag, requests = store.run(skip_unchanged="false")
    assert "Building DAG of jobs" in dag.text
    assert dag.last_lines[0] == f"thumbmill: 0 made, {len(names)} up to date, 0 failed"
    assert requests.total() == requests["list"] <= 12, requests

    store.put("007.jpg", "blue", width=90)
    changed, requests = store.run()
    assert changed.last_lines[0] == f"thumbmill: 1 made, {len(names) - 1} up to date, 0 failed"
    assert (requests["GET"], requests["PUT"], requests["DELETE"]) == (1, 1, 1)
    assert requests.total() - requests["list"] == 3 and requests["list"] <= 10, requests

    store.client.delete_object(Bucket="shop", Key="thumbs/thumb/008.jpg")
    missing, requests = store.run()
    assert missing.last_lines[0] == f"thumbmill: 1 made, {len(names) - 1} up to date, 0 failed"
    assert requests["DELETE"] == 0

    written = [path for path in store.shop.folder.rglob("*") if path.is_file()]
    assert written and not [path for path in written if SECRET.encode() in path.read_bytes()]
    assert not list((store.shop.folder / ".snakemake/storage").rglob("*.jpg")), "copies were left"


@pytest.mark.slow
def test_a_corrupted_object_and_one_that_cannot_be_fetched_fail_alone(store):
    store.put("good.jpg")
    store.put("cold.jpg", StorageClass="GLACIER")
    store.client.put_object(Bucket="shop", Key="pictures/bad.jpg", Body=b"nonsense")

    run, requests = store.run()
    assert run.code == 1
    assert store.thumbnails() == {"good.jpg"}
    reasons = store.shop.failures()
    assert reasons.keys() == {"s3://shop/pictures/cold.jpg", "s3://shop/pictures/bad.jpg"}
    assert reasons["s3://shop/pictures/cold.jpg"].startswith("cannot be fetched: the store refuses it (InvalidObject")
    assert reasons["s3://shop/pictures/bad.jpg"].startswith("unsupported image format")
    assert set(store.shop.failure_kinds().values()) == {"not-fetched", "unsupported"}
    assert (requests["GET"], requests["PUT"], requests["DELETE"]) == (3, 1, 0)

    again, requests = store.run()
    assert again.code == 1 and (requests["GET"], requests["PUT"]) == (2, 0)

    store.put("bad.jpg")
    store.client.delete_object(Bucket="shop", Key="pictures/cold.jpg")
    again, _ = store.run()
    assert again.code == 0 and again.last_lines[0] == "thumbmill: 1 made, 1 up to date, 0 failed"


@pytest.mark.slow
def test_pictures_on_disk_and_thumbnails_in_a_store_and_the_other_way_round(store):
    for name in ("a.jpg", "{b} #2.jpg"):
        store.shop.picture(name)
        store.put(name)

    to_store, requests = store.run(source="images")
    assert to_store.code == 0, to_store.text
    assert store.thumbnails() == {"a.jpg", "%7Bb%7D #2.jpg"} and requests["PUT"] == 2 and not requests["GET"]

    from_store, requests = store.run(output="thumbnails")
    assert from_store.code == 0, from_store.text
    assert store.shop.files() == {"thumb/a.jpg", "thumb/%7Bb%7D #2.jpg"}
    assert requests["GET"] == 2 and not requests["PUT"]

    again, requests = store.run(output="thumbnails")
    assert again.last_lines[0] == "thumbmill: 0 made, 2 up to date, 0 failed" and not requests["GET"]


@pytest.mark.slow
def test_a_store_that_cannot_be_used_is_reported_in_one_line_before_any_work(store, server, monkeypatch):
    def refusal(**locations: str) -> tuple[list[str], Counter]:
        run, requests = store.run(**locations)
        assert run.code == 1 and "Traceback" not in run.text and "Building DAG" not in run.text
        return run.last_lines, requests

    lines, _ = refusal(source="s3://nowhere/pictures")
    assert lines == [
        "thumbmill: the store refuses s3://nowhere/pictures (NoSuchBucket: The specified bucket does not exist)"
    ]
    lines, _ = refusal(source="images", output="s3://nowhere")
    assert lines == ["thumbmill: the store refuses s3://nowhere (NoSuchBucket: The specified bucket does not exist)"]

    with keys_checked(server[0]):
        lines, requests = refusal()
    assert len(lines) == 1 and "InvalidAccessKeyId" in lines[0] and requests.total() <= 2

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    lines, _ = refusal()
    assert len(lines) == 1 and lines[0].startswith("thumbmill: the store cannot be reached for s3://shop/thumbs: ")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    lines, _ = refusal()
    assert lines == [
        "thumbmill: no keys for s3://shop/thumbs: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"
    ]


@pytest.mark.slow
def test_a_thumbnail_that_may_not_be_stored_fails_and_is_made_by_the_next_run(store, server, monkeypatch):
    import boto3

    store.put("a.jpg")
    rights = {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetObject"], "Resource": "*"}
    iam = boto3.client("iam")
    iam.create_user(UserName="reader")
    policy = json.dumps({"Version": "2012-10-17", "Statement": [rights]})
    iam.put_user_policy(UserName="reader", PolicyName="reads", PolicyDocument=policy)
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    with monkeypatch.context() as other:
        other.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        other.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        with keys_checked(server[0]):
            run, requests = store.run()
    assert run.code == 1 and store.shop.failures().keys() == {"s3://shop/pictures/a.jpg"}
    assert "Failed to store output in storage s3://shop/thumbs/thumb/a.jpg\nAccessDenied" in run.text
    assert store.thumbnails() == set() and requests["PUT"] == 1

    again, _ = store.run()
    assert again.code == 0 and store.thumbnails() == {"a.jpg"}


@pytest.mark.slow
def test_a_catalogue_in_a_store_is_made_in_shards_too(store):
    for number in range(4):
        store.put(f"{number}.jpg")
    store.client.put_object(Bucket="shop", Key="pictures/bad.jpg", Body=b"nonsense")
    profile = yaml.safe_load((REPOSITORY / "profiles/manycore/config.yaml").read_text())
    profile["set-resources"]["shard"]["pictures"], profile["set-threads"]["shard"] = 3, 1
    path = store.shop.folder / ".profile/config.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(profile))

    run, requests = store.run(profile=path.parent)
    assert run.code == 1 and run.last_lines[0] == "thumbmill: 4 made, 0 up to date, 1 failed"
    assert store.thumbnails() == {f"{number}.jpg" for number in range(4)}
    assert (requests["GET"], requests["PUT"]) == (5, 4)


@pytest.mark.slow
def test_targets_that_need_files_refuse_a_store(store):
    store.put("a.jpg")
    store.put("b.jpg")
    store.run()
    store.client.delete_object(Bucket="shop", Key="pictures/a.jpg")

    run, requests = store.run("remove_orphans")
    assert run.code != 0 and "orphans in object storage (s3://shop/thumbs) are neither found nor removed" in run.text
    assert store.thumbnails() == {"a.jpg", "b.jpg"} and not requests["DELETE"]

    run, _ = store.run("manifest")
    assert run.code == 1 and run.last_lines[0].startswith("thumbmill: manifest and gallery need files")

    plan, _ = store.run("plan")
    assert plan.code == 0 and "  1 up to date" in plan.text.splitlines()


def test_what_is_missing_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    stores.connect.cache_clear()
    with pytest.raises(StoreError, match=r"need boto3.*: pip install '\.\[s3\]'"):
        stores.connect()
