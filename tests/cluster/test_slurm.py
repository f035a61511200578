"""The cluster that the other tests run on is one."""

import pytest

from tests.cluster.slurm import NODES

pytestmark = pytest.mark.slow


def submit(slurm, command: str, *options: str, **keywords) -> int:
    return int(slurm.run("sbatch", "--parsable", *options, f"--wrap={command}", **keywords))


def test_each_node_runs_jobs(slurm, tmp_path):
    say = 'echo "$SLURMD_NODENAME, $SLURM_CPUS_ON_NODE cores"'
    options = {node: ("--cpus-per-task=2", f"--nodelist={node}", f"--output={tmp_path / node}") for node in NODES}
    jobs = {node: submit(slurm, say, *options[node]) for node in NODES}
    for node, job in jobs.items():
        slurm.wait_until(lambda job=job: slurm.job(job).state == "COMPLETED", f"job {job} is done")
        assert slurm.job(job).node == node
        assert (tmp_path / node).read_text() == f"{node}, 2 cores\n"


def test_a_failing_job_fails(slurm, tmp_path):
    job = submit(slurm, "exit 3", "--output=/dev/null")
    slurm.wait_until(lambda: slurm.job(job).state not in ("PENDING", "RUNNING", "COMPLETING"), "the job ends")
    assert slurm.job(job).state == "FAILED"


@pytest.mark.parametrize(("option", "state"), [("--no-requeue", "NODE_FAIL"), ("--requeue", "PENDING")])
def test_the_job_of_a_killed_node_fails_or_is_requeued(slurm, tmp_path, option, state):
    started = tmp_path / "started"
    job = submit(slurm, f"echo $$ > {started}; sleep 600", "--nodelist=n2", option, "--output=/dev/null")
    slurm.wait_until(lambda: started.exists() and started.read_text(), "the job runs")
    slurm.kill_node("n2")
    try:
        assert not [process for process in slurm.processes("n2") if process.is_running()]
        slurm.wait_until(lambda: slurm.job(job).state == state, f"the job is {state}")
    finally:
        slurm.run("scancel", str(job))
        slurm.restart_node("n2")
        slurm.wait_until(lambda: slurm.node_state("n2") == "idle", "n2 is back")


def test_stopping_leaves_no_process(slurm_of_its_own, tmp_path):
    slurm, started = slurm_of_its_own, tmp_path / "started"
    submit(slurm, f"setsid sleep 600 & touch {started}; sleep 600", "--nodelist=n1", "--output=/dev/null")
    slurm.wait_until(started.exists, "the job runs")
    slurm.wait_until(lambda: slurm.commands("n1").count("sleep 600") == 2, "both sleep")
    processes = slurm.processes("n1")
    slurm.stop()
    assert not any(process.is_running() for process in processes)
    assert not [node for node in NODES if slurm.processes(node)]
    assert not slurm.daemons
