"""Which resampler a run uses, and what a change of it redoes."""

import importlib.util

from tests.run.test_settings import read
from thumbmill.catalog.recipe import ingredients, produces_same_output


def test_without_the_fast_library_pillow_does_it(monkeypatch):
    """The recipe says so: the bytes differ."""
    fast = read({})
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "cykooz_resizer" else find_spec(name))
    assert read({})["resampler"] == "pillow"
    assert read({"resampler": "pillow"}) == read({}) != fast


def test_a_change_of_the_resampler_redoes_every_picture():
    fast, pillow = ingredients(read({})), ingredients(read({"resampler": "pillow"}))
    assert "resizer" in fast and "resizer" not in pillow
    assert produces_same_output(fast, pillow) is False
