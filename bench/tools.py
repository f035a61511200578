"""The programs that thumbmill is compared with: find them, ask for their versions, install them."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Tool(NamedTuple):
    """A program that is not thumbmill's own."""

    title: str
    programs: tuple[str, ...]  # its names, the best one first
    version: tuple[str, ...] = ("--version",)  # the arguments that make it print its version
    apt: str | None = None  # Debian's package
    pip: str | None = None  # to be installed into a virtual environment of its own
    npm: str | None = None  # Node's package


TOOLS = {
    "make": Tool("GNU make", ("gmake", "make"), apt="make"),  # BSD has a `make` of its own
    "vips": Tool("vipsthumbnail", ("vipsthumbnail",), apt="libvips-tools"),
    "parallel": Tool("GNU parallel", ("parallel",), apt="parallel"),
    "mogrify": Tool("ImageMagick", ("mogrify",), apt="imagemagick"),
    "gm": Tool("GraphicsMagick", ("gm",), ("version",), apt="graphicsmagick"),
    "sharp": Tool("sharp", ("node",), npm="sharp@0.35.5"),
    "sigal": Tool("sigal", ("sigal",), pip="sigal==2.6.1"),
}


def find_tool(name: str, folder: str) -> str | None:
    """Return the program of the tool `name`, or None. `folder` is where `install` puts what is no Debian package."""
    tool = TOOLS[name]
    if tool.npm and not os.path.exists(package_folder(name, folder)):
        return None
    path = os.pathsep.join((os.path.join(folder, name, "bin"), os.environ.get("PATH", "")))
    found = (shutil.which(program, path=path) for program in tool.programs)
    return next((program for program in found if program), None)


def package_folder(name: str, folder: str) -> str:
    """Return where the Node package of the tool `name` is, if `install` put it into `folder`."""
    return os.path.join(folder, "node_modules", name)


def read_version(name: str, folder: str) -> str:
    """Return the version of the tool `name`, which must be installed; the line that it prints if that has no number."""
    tool, program = TOOLS[name], find_tool(name, folder)
    if tool.npm:
        script = "const {versions} = require(process.argv[1]); console.log(versions.sharp, 'libvips', versions.vips)"
        version = output_of([program, "-e", script, package_folder(name, folder)])
        return f"{version}, Node {output_of([program, '--version']).removeprefix('v')}"
    line = output_of([program, *tool.version]).partition("\n")[0]
    found = re.search(r"\d[\w.-]*", line)
    return found[0] if found else line


def output_of(command: list[str]) -> str:
    """Return what a `command` prints, without blanks around it."""
    return subprocess.run(command, capture_output=True, text=True, errors="replace").stdout.strip()


def find_missing(names: Iterable[str], folder: str) -> str | None:
    """Return which of the tools `names` are missing and what to do about it; None if none is."""
    missing = [TOOLS[name].title for name in names if find_tool(name, folder) is None]
    return f"{' and '.join(missing)}: not installed (python -m bench --install installs it)" if missing else None


def install(folder: str) -> None:
    """Install all tools that are missing: Debian's packages, as root only; the others into `folder`.

    Print what cannot be installed, and go on with the next.
    """
    missing = {name: tool for name, tool in TOOLS.items() if find_tool(name, folder) is None}
    packages = [tool.apt for tool in missing.values() if tool.apt]
    if packages:
        apt = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
        if shutil.which("apt-get") and os.geteuid() == 0:
            attempt(apt)
        else:
            print(f"bench: not root on Debian; install these yourself: {' '.join(apt)}", file=sys.stderr)
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, tool in missing.items():
        if tool.npm:
            attempt(["npm", "install", "--no-audit", "--no-fund", "--prefix", folder, tool.npm])
        elif tool.pip:
            environment = os.path.join(folder, name)
            if attempt([sys.executable, "-m", "venv", environment]):
                attempt([os.path.join(environment, "bin", "pip"), "install", "--quiet", tool.pip])


def attempt(command: list[str]) -> bool:
    """Run a `command`, with its messages on stderr; return whether it succeeded, and print why if it did not."""
    print(f"$ {' '.join(command)}", file=sys.stderr)
    try:
        subprocess.run(command, stdout=sys.stderr, stdin=subprocess.DEVNULL, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"bench: not installed: {error}", file=sys.stderr)
        return False
    return True
