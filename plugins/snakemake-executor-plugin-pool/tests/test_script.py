"""Running a script in this process."""

import pickle

import pytest
from snakemake.iocontainers import InputFiles, Log, OutputFiles, Params, ResourceList, Snakemake, Wildcards

from snakemake_executor_plugin_pool.script import Script, run_script

# Ways in which a script ends on a full disk; /dev/full is one.
FILL = "open('/dev/full', 'w', 1).write('a\\n')"
WAYS_TO_END = {
    "exception": FILL,
    "exit message": f"import sys\ntry:\n    {FILL}\nexcept OSError as error:\n    sys.exit(f'no: {{error.strerror}}')",
    "exit status": f"try:\n    {FILL}\nexcept OSError:\n    raise SystemExit(74)",
    "cause": f"try:\n    {FILL}\nexcept OSError as error:\n    raise ValueError('no') from error",
}


@pytest.fixture
def run(tmp_path):
    """Return a function that runs code as a script, and returns why it failed."""

    def run(code):
        path = tmp_path / "script.py"
        path.write_text(code)
        script = Script(str(path), str(path), str(tmp_path), (), (), (), pickle.dumps({"key": "value"}))
        files = InputFiles(), OutputFiles([str(tmp_path / "out")]), Params(), Wildcards(), 1, ResourceList(), Log()
        payload = pickle.dumps(Snakemake(*files, None, "rule", None, None))
        return run_script(script, payload, in_own_process=False)

    return run


@pytest.mark.parametrize("way", WAYS_TO_END)
def test_a_full_disk_is_recognised_however_the_script_ends(run, way):
    assert run(WAYS_TO_END[way]).disk_full


@pytest.mark.parametrize("code", ["1 / 0", "open('/nowhere/at/all')", "raise SystemExit('no')", "raise SystemExit(3)"])
def test_other_failures_are_not_taken_for_a_full_disk(run, code):
    assert not run(code).disk_full


def test_a_script_that_has_changed_is_compiled_again(run, tmp_path):
    code = "open(snakemake.output[0], 'w').write(snakemake.config['key'] + {!r})"
    assert run(code.format(" one")) is None
    assert (tmp_path / "out").read_text() == "value one"
    assert run(code.format(" three")) is None
    assert (tmp_path / "out").read_text() == "value three"
