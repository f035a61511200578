"""Objects in a store (moto's server): the interface's own tests, unusual keys, and runs of Snakemake."""

import logging
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from snakemake_interface_storage_plugins.tests import TestStorageBase

from snakemake_storage_plugin_s3listed import StorageProvider

README = (Path(__file__).parent.parent / "README.md").read_text()
UNUSUAL = ["a #1?50%25.txt", "%7Bx%7D <b>.txt", "ü ünï.txt", "double/%2Fslash.txt", "tail .txt", "%2E%2E/up.txt"]


@pytest.mark.usefixtures("store")
class TestInterface(TestStorageBase):
    """The tests that Snakemake's interface package provides for every storage plugin."""

    __test__ = True

    def get_storage_provider_cls(self):
        return StorageProvider

    def get_query(self, tmp_path):
        return "s3listed://shop/folder/test.txt"

    def get_query_not_existing(self, tmp_path):
        return "s3listed://shop/folder/missing.txt"


@pytest.fixture
def provider(store, tmp_path):
    return StorageProvider(tmp_path / "local", logging.getLogger("test"))


@pytest.mark.parametrize("key", UNUSUAL)
def test_unusual_keys_make_the_round_trip(store, provider, key):
    found = provider.object(f"s3listed://shop/{key}")
    assert not found.exists()
    path = found.local_path()
    path.parent.mkdir(parents=True)
    path.write_bytes(b"content")
    found.store_object()
    assert store.keys() == {found.key}
    path.unlink()
    found.retrieve_object()
    assert path.read_bytes() == b"content"
    assert found.exists() and found.size() == 7 and abs(found.mtime() - time.time()) < 100
    found.remove()
    assert not found.exists() and store.keys() == set()


def test_another_provider_sees_what_was_stored_at_the_same_time(store, provider, tmp_path):
    stored = provider.object("s3listed://shop/a.txt")
    stored.local_path().parent.mkdir(parents=True)
    stored.local_path().write_text("text")
    stored.store_object()
    listed = StorageProvider(tmp_path / "other", logging.getLogger("test")).object("s3listed://shop/a.txt")
    assert listed.size() == stored.size() and abs(listed.mtime() - stored.mtime()) <= 1


def test_removing_the_last_object_keeps_the_bucket(store, provider):
    store.put("a.txt")
    provider.object("s3listed://shop/a.txt").remove()
    assert store.keys() == set()  # raises if there is no bucket


def test_a_missing_object_is_named(store, provider):
    with pytest.raises(FileNotFoundError, match=re.escape("s3://shop/a b.txt")):
        provider.object("s3listed://shop/a b.txt").mtime()


@pytest.fixture
def run(store, tmp_path):
    """Return a function that runs the README's workflow, and returns exit code, output and number of requests."""
    snakefile = re.search(r"```python\n(NAMES = .*?)```", README, re.DOTALL)[1]
    (tmp_path / "Snakefile").write_text(snakefile.replace("s3listed://mybucket/", "s3listed://shop/"))

    def run(*arguments):
        store.forget_requests()
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.returncode, done.stdout, store.count_requests()

    return run


@pytest.mark.slow
def test_the_workflow_in_the_readme(store, run, tmp_path):
    for name in ("a", "b", "c"):
        store.put(f"raw/{name}.txt", b"2\n1\n")

    code, output, requests = run()
    assert code == 0, output
    assert store.get("sorted/a.txt") == b"1\n2\n"
    assert requests["GET"] == requests["PUT"] == 3
    assert requests.total() - 6 == requests["list"] <= 4
    assert "Storing in storage" not in output and "Finished upload" not in output
    assert not [path for path in (tmp_path / ".snakemake/storage").rglob("*") if path.is_file()], "copies were left"

    code, output, requests = run()
    assert code == 0 and "Nothing to be done" in output
    assert requests.total() == requests["list"] <= 2

    time.sleep(1)  # a store's times are whole seconds
    store.put("raw/b.txt", b"4\n3\n")
    code, output, requests = run()
    assert code == 0 and store.get("sorted/b.txt") == b"3\n4\n"
    assert (requests["GET"], requests["PUT"], requests["DELETE"]) == (1, 1, 1)


@pytest.mark.slow
def test_a_missing_source_is_named_and_no_secret_is(store, run):
    store.put("raw/a.txt")
    code, output, _ = run()
    assert code == 1 and "s3://shop/raw/b.txt" in output
    assert "a-secret" not in output
