"""The rack's network namespace as seen from outside: whether there can be one, and how a program is run in it."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.confined import PATH, program
from lab.rack import qemu

PROGRAMS = {
    'ip': 'iproute2', 'nsenter': 'util-linux', 'qemu-system-x86_64': 'qemu-system-x86', 'named': 'bind9',
    'named-checkconf': 'bind9-utils',
}  # fmt: skip
DHCP_PROGRAMS = {
    'kea': {'kea-dhcp4': 'kea-dhcp4-server'}, 'isc': {'dhcpd': 'isc-dhcp-server'},
    'dnsmasq': {'dnsmasq': 'dnsmasq-base'},
}  # fmt: skip
# Firmware and boot loaders by package, each where one distribution or another has it.
FILES: dict[str, tuple[str, ...]] = {
    'ovmf': tuple(code for code, _ in qemu.OVMF),
    'ipxe': qemu.IPXE,
    'pxelinux': ('/usr/lib/PXELINUX/lpxelinux.0', '/usr/share/syslinux/lpxelinux.0'),
    'syslinux-common': ('/usr/lib/syslinux/modules/bios/ldlinux.c32', '/usr/share/syslinux/ldlinux.c32'),
}
TUN = '/dev/net/tun'


def is_root() -> bool:
    return os.geteuid() == 0


def lacks(dhcp: str) -> list[str]:
    """What is missing for a rack here, each with what to do; empty if nothing is."""
    found = []
    for name, package in {**PROGRAMS, **DHCP_PROGRAMS[dhcp]}.items():
        if shutil.which(name, path=PATH) is None:
            found.append(f'the program {name} (package {package}; `make bootstrap` installs it)')
    for package, paths in FILES.items():
        if not any(map(os.path.exists, paths)):
            found.append(f'{paths[0]} (package {package}; `make bootstrap` installs it)')
    if shutil.which('unshare', path=PATH):
        user = [] if is_root() else ['--user', '--map-root-user']
        tried = subprocess.run([program('unshare'), *user, '--net', 'true'], capture_output=True, check=False)
        if tried.returncode:
            found.append(
                'network namespaces, which even root may not make here (in a container: docker run --privileged)'
                if is_root()
                else 'network namespaces: they need root, or a kernel that gives them to ordinary users '
                '(sysctl kernel.unprivileged_userns_clone=1; on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0)'
            )
    if not is_root() and dhcp == 'dnsmasq':
        found.append('root: dnsmasq insists on changing its group; kea and isc do not')
    if not os.path.exists(TUN):
        found.append(f'{TUN}, which is not there (modprobe tun; docker run --device {TUN})')
    elif not os.access(TUN, os.R_OK | os.W_OK):
        found.append(f'{TUN}, which this user may not open: run it as root, or chmod 0666 {TUN}')
    return found


@dataclass(frozen=True)
class Namespace:
    """That of a living process."""

    pid: int

    def command(self, words: Sequence[str | Path]) -> list[str]:
        """The words for a program that is to run inside; it takes the place of nsenter, so its process is the same."""
        return [*self._enter(), *map(str, words)]

    def _enter(self) -> list[str]:
        place = f'/proc/{self.pid}/ns'
        user = []
        if not is_root():
            user = [f'--user={place}/user', '--preserve-credentials']
        return [program('nsenter'), *user, f'--net={place}/net', '--']

    def run(
        self, words: Sequence[str | Path], *, check: bool = True, timeout: float = 60.0, **more: Any
    ) -> 'subprocess.CompletedProcess[str]':
        """To its end."""
        return subprocess.run(self.command(words), check=check, timeout=timeout, text=True, capture_output=True, **more)

    @property
    def identity(self) -> str:
        """As /proc/<pid>/ns/net has it; '' if it is gone."""
        try:
            return os.readlink(f'/proc/{self.pid}/ns/net')
        except OSError:
            return ''

    def processes(self) -> list[int]:
        """All that are inside, whoever started them; nobody if it is our own, which is never the rack's."""
        wanted, found = self.identity, []
        if wanted == os.readlink('/proc/self/ns/net'):
            return []
        for entry in Path('/proc').iterdir():
            if entry.name.isdigit():
                try:
                    if os.readlink(entry / 'ns/net') == wanted:
                        found.append(int(entry.name))
                except OSError:
                    continue
        return found
