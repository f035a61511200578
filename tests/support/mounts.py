"""File systems of other systems, mounted for a test: those of memory cards and of Windows."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

SIZE = 64 << 20  # bytes: NTFS needs some

# What makes a file system in an image and what mounts it, each without its last arguments.
PROGRAMS = {
    "exfat": (["mkfs.exfat"], ["mount.exfat-fuse"]),
    "ntfs": (["mkntfs", "--force", "--fast", "--quiet"], ["lowntfs-3g", "-o", "ignore_case,windows_names"]),
}


@contextlib.contextmanager
def foreign_file_system(kind: str, folder: Path) -> Iterator[Path]:
    """Mount a new file system of the `kind` "exfat" or "ntfs" at `folder`, and yield that. Skip if not possible here.

    Both ignore the case of letters, and have neither links nor names with `:` or `?`.
    """
    make, mount = PROGRAMS[kind]
    missing = [program for program in (make[0], mount[0]) if not shutil.which(program)]
    if missing:
        pytest.skip(f"needs {' and '.join(missing)} (Debian: exfat-fuse exfatprogs ntfs-3g)")
    folder.mkdir(parents=True, exist_ok=True)
    image = folder.with_name(f"{folder.name}.img")
    with image.open("xb") as file:
        os.truncate(file.fileno(), SIZE)
    subprocess.run([*make, image], check=True, capture_output=True)
    device = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True)
    if device.returncode:
        pytest.skip(f"no loop device: {device.stderr}")
    try:
        done = subprocess.run([*mount, device.stdout.strip(), folder], capture_output=True, text=True)
        if done.returncode or not os.path.ismount(folder):
            pytest.skip(f"{kind} cannot be mounted here: {done.stderr or done.stdout}")
        try:
            yield folder
        finally:
            subprocess.run(["umount", "-l", folder], check=True)
    finally:
        subprocess.run(["losetup", "--detach", device.stdout.strip()], check=True)
        image.unlink()
