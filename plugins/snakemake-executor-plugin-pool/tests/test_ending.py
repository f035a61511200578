"""Which objects keep the interpreter's own end from being left out."""

import gc
import tempfile

import pytest

from snakemake_executor_plugin_pool.ending import has_finalizers


class Finalized:
    """Does something when it is destroyed."""

    def __del__(self):
        pass


def suspended():
    yield 1


def ended():
    generator = suspended()
    list(generator)
    return generator


def closed_file():
    with tempfile.TemporaryFile("w") as file:
        file.write("text")
    return file


LEFT = {
    "nothing": (list, False),
    "a closed file": (closed_file, False),
    "an open file": (lambda: tempfile.TemporaryFile("w"), True),  # noqa: SIM115
    "a generator that has ended": (ended, False),
    "a generator that waits": (lambda: next(generator := suspended()) and generator, True),
    "an object with __del__": (Finalized, True),
}


@pytest.mark.parametrize("what", LEFT)
def test_what_a_script_has_left(what):
    make, expected = LEFT[what]
    gc.collect()
    gc.freeze()  # as in a server: what is there is not the script's
    try:
        left = make()
        found = has_finalizers()
    finally:
        gc.unfreeze()
    assert found == expected
    del left
