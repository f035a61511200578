"""Which modules a script has imported."""

import sys
import types

import pytest

from snakemake_executor_plugin_pool.interpreter import KnownModules


@pytest.fixture
def known(monkeypatch):
    """The modules a and b, of which b is the last."""
    monkeypatch.setattr(sys, "modules", {"sys": sys, "a": types.ModuleType("a"), "b": types.ModuleType("b")})
    return KnownModules.now()


def test_modules_imported_since(known):
    assert known.new_names() == []
    sys.modules["d"] = sys.modules["c"] = types.ModuleType("c")
    assert known.new_names() == ["d", "c"]


@pytest.mark.parametrize("replace", [False, True])
def test_a_script_that_takes_out_the_last_module(known, replace):
    del sys.modules["b"]
    sys.modules["c"] = types.ModuleType("c")
    if replace:
        sys.modules["b"] = types.ModuleType("b")
    assert known.new_names() == ["c"]


def test_only_new_modules_are_looked_at(known):
    """Touching the others would copy memory that all jobs share."""
    assert known.module is sys.modules["b"]
    assert known._replace(names=frozenset()).new_names() == []
