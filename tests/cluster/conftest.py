"""Clusters, started by the tests that need one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.slurm import Slurm, missing_packages


@contextmanager
def cluster_in(folder: Path) -> Iterator[Slurm]:
    if packages := missing_packages():
        pytest.skip(f"no SLURM here: apt-get install {' '.join(packages)}")
    cluster = Slurm(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def slurm(tmp_path_factory) -> Iterator[Slurm]:
    """A SLURM of two nodes with two cores each, shared by the tests of a module."""
    with cluster_in(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


@pytest.fixture
def slurm_of_its_own(tmp_path) -> Iterator[Slurm]:
    """A SLURM of its own for a test that damages it."""
    with cluster_in(tmp_path) as cluster:
        yield cluster
