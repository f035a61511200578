"""A store on this machine: moto's server, which logs the requests it gets."""

import logging
import re
from collections import Counter
from urllib.request import Request, urlopen

import pytest


class Store:
    """An empty bucket `shop`, and the requests that were sent to its server."""

    def __init__(self, client, requests):
        self.client, self._requests = client, requests
        client.create_bucket(Bucket="shop")

    def put(self, key, body=b"text"):
        self.client.put_object(Bucket="shop", Key=key, Body=body)

    def get(self, key):
        return self.client.get_object(Bucket="shop", Key=key)["Body"].read()

    def keys(self):
        return {entry["Key"] for entry in self.client.list_objects_v2(Bucket="shop").get("Contents", ())}

    def forget_requests(self):
        self._requests.clear()

    def count_requests(self):
        """Return how many there were of each kind: list, GET, PUT, DELETE, HEAD, POST."""
        return Counter("list" if "list-type=2" in request else request.split()[0] for request in self._requests)


@pytest.fixture(scope="session")
def server():
    """Yield the address of moto's server, and the list of requests it was sent, such as `GET /shop/key`."""
    moto = pytest.importorskip("moto.server", reason="needs moto[server]")
    pytest.importorskip("boto3", reason="needs boto3")
    requests = []

    class Handler(logging.Handler):
        def emit(self, record):
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
def store(server, monkeypatch):
    """Return an empty store, which the environment names as the one to use."""
    import boto3

    address, requests = server
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIATEST",
        "AWS_SECRET_ACCESS_KEY": "a-secret",
        "AWS_ENDPOINT_URL": address,
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    urlopen(Request(f"{address}/moto-api/reset", method="POST")).close()
    return Store(boto3.client("s3"), requests)
