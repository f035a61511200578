"""Which modules a script has imported."""

import sys
import types

import pytest

from snakemake_executor_plugin_pool.interpreter import KnownModules, imported_modules


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


def test_modules_of_libraries_are_shared_and_those_of_the_workflow_are_its_own(tmp_path, monkeypatch):
    """Whatever names they go by: extensions make modules that no file is imported for, and `six` says it is a package."""
    site, workflow = tmp_path / "site", tmp_path / "workflow"
    for path in (site / "library/inner.py", site / "library/__init__.py", site / "like_six.py", workflow / "helper.py"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (site / "like_six.py").write_text("__path__ = []\n__spec__.submodule_search_locations = []\n")
    monkeypatch.setattr(sys, "path", [str(site), str(workflow), *sys.path])
    import helper
    import library.inner
    import like_six  # noqa: F401

    alias = types.ModuleType("alias")
    alias.__file__, alias.__spec__ = str(site / "library/alias.so"), library.__spec__
    loose = types.ModuleType("runtime")
    monkeypatch.setitem(sys.modules, "alias", alias)
    monkeypatch.setitem(sys.modules, "runtime", loose)
    names = ["helper", "library", "library.inner", "like_six", "alias", "runtime", "gone", "__main__"]
    shared, own = imported_modules(names, [str(site)])
    assert shared == ["library", "library.inner", "like_six", "alias"]
    assert own == [("helper", helper.__file__)]
