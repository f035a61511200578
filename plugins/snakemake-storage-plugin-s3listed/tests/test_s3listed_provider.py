"""Queries, the client, and what an import costs: without a store."""

import logging
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from snakemake_interface_common.exceptions import WorkflowError

from snakemake_storage_plugin_s3listed import StorageProvider
from snakemake_storage_plugin_s3listed.client import ENDPOINT_VARIABLES, connect, find_endpoint
from snakemake_storage_plugin_s3listed.storage import content_type, is_worth_logging

PLUGIN = Path(__file__).parent.parent


@pytest.fixture
def provider(tmp_path):
    return StorageProvider(tmp_path / "local", logging.getLogger("test"))


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ("s3listed://shop/a/b.txt", "a/b.txt"),
        ("s3listed://shop/a%20b%7Bc%7D%25.txt", "a b{c}%.txt"),
        ("s3listed://shop/%C3%BC #1?.txt", "ü #1?.txt"),
        ("s3listed://shop/a/%2Fb", "a//b"),
    ],
)
def test_percent_encoded_bytes_of_a_key_are_decoded(provider, query, key):
    found = provider.object(query)
    assert (found.bucket_name, found.key) == ("shop", key)
    assert found.print_query == f"s3://shop/{key}"


@pytest.mark.parametrize(
    "query", ["s3://shop/a", "s3listed://", "s3listed://shop", "s3listed://shop/", "s3listed:///a"]
)
def test_other_queries_are_rejected(query):
    result = StorageProvider.is_valid_query(query)
    assert not result and "must be s3listed://<bucket>/<key>" in str(result)


def test_a_query_with_wildcards_is_valid():
    assert StorageProvider.is_valid_query("s3listed://{bucket}/raw/{name}.txt")


def test_keys_that_differ_have_local_paths_that_differ_below_the_local_folder(provider):
    keys = ["a", "a/", "a//b", "a/b", "a/./b", "a/../b", "a/.../b", "../../b", "a/b/..", "..a/b", "b/../../../../etc"]
    paths = [os.path.normpath(provider.object(f"s3listed://shop/{key}").local_path()) for key in keys]
    assert len(set(paths)) == len(keys)
    assert all(Path(path).is_relative_to(provider.local_prefix / "shop") for path in paths)


def test_local_paths_are_readable(provider):
    local_path = provider.object("s3listed://shop/raw/a b.txt").local_path()
    assert local_path == provider.local_prefix / "shop/raw/a b.txt"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.txt", "text/plain"),
        ("a.WEBP", "image/webp"),
        ("a.avif", "image/avif"),
        ("a.unheard-of", "application/octet-stream"),
        ("a", "application/octet-stream"),
    ],
)
def test_content_types(name, expected):
    assert content_type(name) == expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Storing in storage: s3://shop/a", False),
        ("Finished upload.", False),
        ("Removing local copy of storage file: a", False),
        ("Failed to store output in storage s3://shop/a", True),
        (None, True),
    ],
)
def test_only_routine_messages_are_dropped(message, expected):
    assert is_worth_logging(logging.LogRecord("", logging.INFO, "", 0, message, None, None)) == expected


def test_the_first_endpoint_that_is_set_counts(monkeypatch):
    for name in ENDPOINT_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert find_endpoint() is None
    for name in reversed(ENDPOINT_VARIABLES):
        monkeypatch.setenv(name, f"http://{name.lower()}")
        assert find_endpoint() == f"http://{name.lower()}"
    monkeypatch.setenv(ENDPOINT_VARIABLES[0], "")
    assert find_endpoint() == f"http://{ENDPOINT_VARIABLES[1].lower()}"


def test_the_readme_names_the_variables():
    rows = re.findall(r"^\| `(\w+ENDPOINT_URL\w*)` \|", (PLUGIN / "README.md").read_text(), re.MULTILINE)
    assert tuple(rows) == ENDPOINT_VARIABLES


def test_if_boto3_is_missing_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(WorkflowError) as error:
        connect()
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]
    name, extra = re.search(r"pip install '([\w-]+)\[(\w+)\]'", str(error.value)).groups()
    assert name == project["name"] and extra in project["optional-dependencies"]


def test_importing_the_plugin_does_not_import_boto3(tmp_path):
    # Snakemake imports every installed plugin at each start.
    code = "import sys, snakemake_storage_plugin_s3listed; print([name for name in sys.modules if 'boto' in name])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "[]\n", done
