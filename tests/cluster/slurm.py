"""A SLURM cluster on this machine, from Debian's packages: one controller, two nodes, everything below one folder."""

import contextlib
import getpass
import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil

PROGRAMS = {"munged": "munge", "slurmctld": "slurmctld", "slurmd": "slurmd", "sbatch": "slurm-client"}  # -> package
NODES = ("n1", "n2")
CORES, MEMORY = 2, 8000  # of each node (memory in MB), in SLURM's books; more than the machine may have

# Debian keeps the daemons where the search path of a plain user does not lead.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])

# slurmd asks for nothing that only root or systemd could give. A dead node is noticed after SlurmdTimeout seconds (300
# by default), and a job that has ended is remembered for an hour (MinJobAge; 300 by default).
SETTINGS = """\
ClusterName=thumbmill
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=1
SlurmdParameters=config_overrides
ReturnToService=2
MessageTimeout=5
SlurmdTimeout=10
MinJobAge=3600
KillWait=2
{nodes}
PartitionName=all DefMemPerCPU=100 Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing_packages() -> list[str]:
    """The Debian packages whose programs are not installed."""
    return [package for program, package in PROGRAMS.items() if not shutil.which(program, path=SEARCH_PATH)]


class Job(NamedTuple):
    """A job that SLURM knows: its number, name, state (`RUNNING`, `COMPLETED`, ...) and node ("" while it waits)."""

    id: int
    name: str
    state: str
    node: str


class Slurm:
    """The cluster. `start()` it, run commands in `environment`, `stop()` it: no process of it is left then."""

    def __init__(self, folder: Path):
        self.folder = folder
        search_path = f"{folder / 'bin'}{os.pathsep}{SEARCH_PATH}"
        self.environment = {**os.environ, "PATH": search_path, "SLURM_CONF": str(folder / "slurm.conf")}
        self.daemons: dict[str, subprocess.Popen] = {}

    def start(self) -> None:
        """Start the daemons, and wait until both nodes take jobs."""
        ports = free_ports(1 + len(NODES))
        place = f"NodeHostname={socket.gethostname()} NodeAddr=127.0.0.1 CPUs={CORES} RealMemory={MEMORY}"
        nodes = "\n".join(f"NodeName={name} Port={port} {place}" for name, port in zip(NODES, ports[1:], strict=True))
        settings = SETTINGS.format(
            host=socket.gethostname().partition(".")[0],
            user=getpass.getuser(),
            folder=self.folder,
            ports=ports,
            nodes=nodes,
        )
        (self.folder / "slurm.conf").write_text(settings)
        (self.folder / "cgroup.conf").write_text("CgroupAutomount=no\n")  # else slurmd looks for /etc/slurm/cgroup.conf
        # snakemake-executor-plugin-slurm-jobstep calls srun without SLURM_CONF: it expects the settings in /etc.
        srun = self.folder / "bin/srun"
        srun.parent.mkdir()
        srun.write_text(f'#!/bin/sh\nSLURM_CONF="{self.folder}/slurm.conf" exec {shutil.which("srun")} "$@"\n')
        srun.chmod(0o755)
        (self.folder / "state").mkdir()
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        # --force: munged would rather not run below a temporary folder.
        files = {"socket": "munge.socket", "pid-file": "munge.pid", "log-file": "munge.log", "seed-file": "munge.seed"}
        options = [f"--{option}={self.folder / file}" for option, file in {**files, "key-file": "munge.key"}.items()]
        self.run_daemon("munged", ["munged", "--foreground", "--force", *options])
        self.wait_until((self.folder / "munge.socket").exists, "munged answers")
        self.run_daemon("slurmctld", ["slurmctld", "-D", "-c"])
        for node in NODES:
            self.restart_node(node)
        for node in NODES:
            self.wait_until(lambda node=node: self.node_state(node) == "idle", f"node {node} takes jobs")

    def stop(self) -> None:
        """End every process of the cluster: the jobs, the nodes, the controller."""
        for node in NODES:
            self.kill_node(node)
        for name in ("slurmctld", "munged"):
            if daemon := self.daemons.pop(name, None):
                daemon.terminate()
                try:
                    daemon.wait(10)
                except subprocess.TimeoutExpired:
                    daemon.kill()
                    daemon.wait()

    def run_daemon(self, name: str, command: list[str]) -> None:
        """Start one daemon; what it prints goes to a file of its own."""
        with (self.folder / f"{name}.out").open("ab") as output:
            self.daemons[name] = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
            )

    def restart_node(self, node: str) -> None:
        """Start a node's slurmd, as after a reboot."""
        (self.folder / node).mkdir(exist_ok=True)
        self.run_daemon(node, ["slurmd", "-D", "-N", node])

    def kill_node(self, node: str) -> None:
        """End a node as a power cut does: its slurmd and all that runs under it, without a word to the controller."""
        # Again until there is none: a process may start another while the list is read.
        while processes := self.processes(node):
            for process in processes:
                try:
                    process.kill()
                except psutil.NoSuchProcess:
                    pass
            psutil.wait_procs(processes, timeout=10)
        if daemon := self.daemons.pop(node, None):
            daemon.wait()

    def processes(self, node: str) -> list[psutil.Process]:
        """All living processes of a node: slurmd, the steps of its jobs, and what those started."""
        found = {}
        for process in psutil.process_iter():
            try:
                if process.status() != psutil.STATUS_ZOMBIE and self.runs_on(process, node):
                    found.update({each.pid: each for each in [process, *process.children(recursive=True)]})
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                pass
        return list(found.values())

    def commands(self, node: str) -> list[str]:
        """The command lines of the node's processes."""
        found = []
        for process in self.processes(node):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                found.append(" ".join(process.cmdline()))
        return found

    def runs_on(self, process: psutil.Process, node: str) -> bool:
        """Whether this is a daemon of the node (they keep its log open) or knows from its environment to be its job."""
        environment = process.environ()
        if environment.get("SLURMD_NODENAME") == node:
            return environment.get("SLURM_CONF") == self.environment["SLURM_CONF"]
        return str(self.folder / f"{node}.log") in (file.path for file in process.open_files())

    def run(self, *command: str, **options) -> str:
        """Run a command with the cluster's environment; return what it printed. Raises CalledProcessError."""
        options = {"env": self.environment, "check": True, "timeout": 120, **options}
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, **options).stdout

    def queue(self) -> list[Job]:
        """All jobs that the controller remembers, the ended ones included, in the order of their submission."""
        lines = self.run("squeue", "--noheader", "--states=all", "--sort=i", "--format=%i|%j|%T|%N").splitlines()
        return [Job(int(id), name, state, node) for id, name, state, node in (line.split("|") for line in lines)]

    def job(self, id: int) -> Job:
        """One job. Raises KeyError."""
        return {job.id: job for job in self.queue()}[id]

    def node_state(self, node: str) -> str:
        """`idle`, `mixed`, `allocated`, `down*`, ..., as sinfo has it; "" while the controller does not answer."""
        try:
            return self.run("sinfo", "--noheader", f"--nodes={node}", "--format=%T", stderr=subprocess.DEVNULL).strip()
        except subprocess.CalledProcessError:
            return ""

    def wait_until(self, condition: Callable[[], object], what: str, seconds: float = 300) -> None:
        """Wait for a condition. Raises TimeoutError with the ends of all logs, so that no test hangs."""
        deadline = time.monotonic() + seconds
        while not self.holds(condition):
            dead = [name for name, daemon in self.daemons.items() if daemon.poll() is not None]
            if dead or time.monotonic() > deadline:
                logs = [*self.folder.glob("*.log"), *self.folder.glob("*.out")]
                ends = "\n".join(f"{log.name}:\n{log.read_text(errors='replace')[-1500:]}" for log in logs)
                trouble = f"ended by themselves: {', '.join(dead)}" if dead else f"not after {seconds} s"
                raise TimeoutError(f"waited until {what}; {trouble}\n{ends}")
            time.sleep(0.1)

    @staticmethod
    def holds(condition: Callable[[], object]) -> bool:
        """Whether it is so; not, as long as the controller is too busy to answer."""
        try:
            return bool(condition())
        except subprocess.CalledProcessError:
            return False


def free_ports(count: int) -> list[int]:
    """So many ports of the loopback interface that nobody listens on now, and that no client is given."""
    ports = []
    while len(ports) < count:
        port = random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            ports = [*dict.fromkeys((*ports, port))]
    return ports
