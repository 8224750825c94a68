"""Servers that are meant to work in the distribution's folders alone, run from a lab's or a test's own.

Debian's and Ubuntu's AppArmor profiles confine DHCP and DNS servers to /etc and /var/lib.  A profile goes by the path
of the program: a copy elsewhere has none.  Kea confines itself too (since 2.6.3 and 2.4.2), to folders that its
environment names.
"""

import os
import shutil
from pathlib import Path

from lab.places import cache_folder, private_folder

# Servers are where an ordinary user's PATH does not lead.
PATH = os.pathsep.join(dict.fromkeys([*os.environ.get('PATH', '').split(os.pathsep), '/usr/sbin', '/sbin']))
NAMES = ('dhclient', 'dhcpd', 'kea-ctrl-agent', 'kea-dhcp4', 'kea-dhcp6', 'named')
_ENABLED = Path('/sys/module/apparmor/parameters/enabled')


def is_on() -> bool:
    """Whether the kernel confines programs."""
    try:
        return _ENABLED.read_text().startswith('Y')
    except OSError:
        return False


def program(name: str) -> str:
    """Where it is, or a copy of it that nobody confines; its bare name if it is not there."""
    found = shutil.which(name, path=PATH)
    if found is None:
        return name
    return str(_copy(Path(found))) if name in NAMES and is_on() else found


def folder() -> Path | None:
    """One with copies of all that are there, to come first in a PATH; None where nothing is confined."""
    if not is_on():
        return None
    for name in NAMES:
        program(name)
    return _folder()


def _folder() -> Path:
    return private_folder(private_folder(cache_folder()) / 'programs')


def empty() -> None:
    """Removes the copies."""
    shutil.rmtree(cache_folder() / 'programs', ignore_errors=True)


def _copy(source: Path) -> Path:
    copies = _folder()
    copy, wanted = copies / source.name, source.stat()
    try:
        found = copy.stat()
        if (found.st_size, int(found.st_mtime)) == (wanted.st_size, int(wanted.st_mtime)):
            return copy
    except FileNotFoundError:
        pass
    beside = copies / f'.{source.name}.{os.getpid()}'
    shutil.copy2(source, beside)
    beside.replace(copy)
    return copy


def kea(sockets: Path, data: Path) -> dict[str, str]:
    """The environment in which Kea takes control sockets and leases in these folders.

    That of the sockets has to be closed to other users.
    """
    return {'KEA_CONTROL_SOCKET_DIR': str(sockets), 'KEA_DHCP_DATA_DIR': str(data), 'KEA_LOG_FILE_DIR': str(data)}
