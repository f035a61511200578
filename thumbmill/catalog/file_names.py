"""What a file system makes of names: which ones it takes for the same, and which ones it does not allow.

That is its own affair, and depends on how it was made and mounted. So it is asked, with a folder of probes that is
removed at once; but only about names of which some file system is known to make something else.
"""

import functools
import os
import re

from thumbmill.files import nearest_existing, remove_probe_folder, temporary_name

# What exFAT, FAT, NTFS and SMB may not allow: some characters, a dot or a space at the end, names of devices.
UNUSUAL = re.compile(r'[:?*"|\\]|[. ](?=/|$)|(?<![^/])(?:con|prn|aux|nul|com[1-9]|lpt[1-9])(?![^./])', re.IGNORECASE)
LIKELY_ENDS = (" ", ".")


def forbidden_in(path: str, folder: str) -> str:
    """Return what of a `path` below `folder` its file system does not allow; "" if nothing."""
    for match in UNUSUAL.finditer(path):
        if not allows(nearest_existing(folder), match[0].lower()):
            return match[0]
    return ""


@functools.cache
def allows(folder: str, unusual: str) -> bool:
    """Whether the file system of `folder` allows this `unusual` part of a name. If it cannot be asked, it does."""
    probes = make_probe_folder(folder)
    if not probes:
        return True
    name = f"x{unusual}" if unusual in LIKELY_ENDS else unusual if unusual.isalnum() else f"x{unusual}x"
    try:
        open(os.path.join(probes, name), "x").close()
        return name in os.listdir(probes)  # it may have made another name of it
    except OSError:
        return False
    finally:
        remove_probe_folder(probes)


@functools.cache
def takes_for_same(folder: str, one: str, other: str) -> bool:
    """Whether the file system of `folder` takes two names for the same. If it cannot be asked, it does not.

    It is asked inside a new folder, which takes after the one around it (ext4's casefold).
    """
    probes = make_probe_folder(folder)
    if not probes:
        return False
    try:
        open(os.path.join(probes, one), "x").close()
        return os.path.lexists(os.path.join(probes, other))
    except OSError:  # it has no file of such a name
        return False
    finally:
        remove_probe_folder(probes)


def make_probe_folder(folder: str) -> str:
    """Return a new folder in `folder`; "" if nothing can be written there, which the run will find out."""
    probes = os.path.join(folder, temporary_name())
    try:
        os.mkdir(probes)
    except OSError:
        return ""
    return probes
