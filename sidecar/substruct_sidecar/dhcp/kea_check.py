"""What `substruct-sidecar check` says of Kea, and what this backend cannot do, in sentences for people."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from ..service import Finding
from .clients import V4_BOOT_FILE, V4_TFTP_SERVER_NAME, V6_BOOT_URL
from .kea_base import Base, BaseError
from .kea_control import ControlError, Family
from .kea_daemon import Daemon

_BONDS = (
    'A bond whose members take turns: Kea gives the address to another member only after the lease of the first has '
    'ended or was released.'
)
_DUIDS = (
    'DHCPv6: a machine that changes its DUID (firmware, then the installed system) keeps its address only if the lease '
    'under the other DUID was released or has ended.'
)
_LOCAL_MACS = (
    'DHCPv6: a machine with a locally administered MAC address (many virtual machines have one) and a DUID that is not '
    'made of it: Kea does not see its MAC address. Give its DUID in NetBox.'
)


def cannot(daemons: Sequence[Daemon], *, database: bool) -> Sequence[str]:
    found = [_BONDS]
    if 6 in {daemon.family for daemon in daemons}:
        found += [_DUIDS, _LOCAL_MACS]
    without = [daemon.name for daemon in daemons if daemon.loads('libdhcp_lease_cmds') is False]
    if without:
        found.append(
            f'{" and ".join(without)}: an address that is leased to one machine and given to another in NetBox, '
            f'before the lease has ended: load the hook library libdhcp_lease_cmds.so.'
        )
    if not database:
        found.append(
            'A change of one machine without the whole configuration: Kea reads all of it anew and answers nobody '
            'meanwhile (some seconds at a hundred thousand machines). Use dhcp.kea.mode = "database" for many '
            'machines.'
        )
    if {daemon.family for daemon in daemons} == {4}:
        found.append('DHCPv6: neither dhcp.kea.socket6 nor url6 is set.')
    elif {daemon.family for daemon in daemons} == {6}:
        found.append('DHCPv4: neither dhcp.kea.socket4 nor url4 is set.')
    return found


def findings(daemon: Daemon, database: str) -> Iterator[Finding]:
    """Everything that `check` looks at, of one daemon; `database` is the kind of its host database or ''."""
    try:
        base = daemon.base()
        daemon.on_disk()
    except BaseError as error:
        yield Finding(daemon.name, 'error', str(error))
        return
    try:
        dialect = daemon.channel.version()
        commands = daemon.channel.commands()
    except ControlError as error:
        yield Finding(daemon.name, 'error', str(error), 'Start it, or correct dhcp.kea in the settings.')
        return
    if missing := {'config-test', 'config-set', 'config-get', 'status-get'} - commands:
        yield Finding(daemon.name, 'error', f'it does not know {", ".join(sorted(missing))}', 'Use Kea 2.2 or later.')
        return
    yield Finding(daemon.name, 'ok', f'Kea {dialect.text} answers at {daemon.channel.place}')
    folder = daemon.output.parent
    if folder.exists() and not _may_write(folder):
        yield Finding(daemon.name, 'error', f'{folder} cannot be written', 'Give it to the user of the sidecar.')
    started = daemon.started_with()
    if started and Path(started) != daemon.output:
        yield Finding(
            daemon.name,
            'warning',
            f'it was started with {started}, so after a restart it does not know what Substruct made',
            f'Start it with -c {daemon.output}, or set dhcp.kea.output{daemon.family} to {started}.',
        )
    if daemon.family == 4 and daemon.socket:  # it runs on this host
        for interface, addresses in _heard_twice(base, _addresses()):
            yield Finding(
                daemon.name,
                'warning',
                f'{interface} has the addresses {", ".join(addresses)}, and Kea hears each message once for each: what '
                f'it answers later may come too late, or contradict what it has answered before',
                f'Name one of them in "interfaces" in {base.where}: "{interface}/{addresses[0]}".',
            )
    for option in _boot_options(daemon.family, base):
        yield Finding(
            daemon.name,
            'warning',
            f'"option-data" in {base.where} gives {option} to every machine, also to those that must not boot',
            'Move it to the subnets or classes that it is for.',
        )
    if not daemon.loads('libdhcp_lease_cmds'):
        yield Finding(
            daemon.name,
            'warning',
            'it cannot end leases: a machine gets an address that another one had only when that lease has ended',
            f'Load the hook library libdhcp_lease_cmds.so in {base.where}.',
        )
    if database and dialect.backends_are_hooks:
        wanted = 'libdhcp_mysql' if database == 'mysql' else 'libdhcp_pgsql'
        if not daemon.loads(wanted):
            yield Finding(
                daemon.name,
                'error',
                f'Kea {dialect.text} needs the hook library {wanted}.so for its host database',
                f'Add it to "hooks-libraries" in {base.where}.',
            )


def _heard_twice(base: Base, addresses: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, Sequence[str]]]:
    """(interface, its IPv4 addresses) of those on which Kea opens a socket for each of several addresses."""
    said = base.section.get('interfaces-config')
    names = said.get('interfaces') if isinstance(said, dict) else None
    wanted = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
    for interface, found in addresses.items():
        if len(found) > 1 and (interface in wanted or ('*' in wanted and interface != 'lo')):
            yield interface, found


def _addresses() -> dict[str, list[str]]:
    """The IPv4 addresses of this host by interface; none where they cannot be had."""
    try:
        done = subprocess.run(['ip', '-j', '-4', 'address', 'show'], capture_output=True, timeout=10, check=True)
        found = msgspec.json.decode(done.stdout, type=list[_Interface])
    except (OSError, subprocess.SubprocessError, msgspec.DecodeError):
        return {}
    return {one.ifname: [address.local for address in one.addr_info] for one in found}


class _Address(msgspec.Struct):
    local: str = ''


class _Interface(msgspec.Struct):
    ifname: str = ''
    addr_info: list[_Address] = []


def _boot_options(family: Family, base: Base) -> Iterator[str]:
    """What the hand-written part gives everybody that lets firmware boot."""
    names = (
        {V4_TFTP_SERVER_NAME: 'tftp-server-name', V4_BOOT_FILE: 'boot-file-name'}
        if family == 4
        else {V6_BOOT_URL: 'bootfile-url'}
    )
    options = base.section.get('option-data')
    for option in options if isinstance(options, list) else ():
        if isinstance(option, dict) and option.get('space', f'dhcp{family}') == f'dhcp{family}':
            yield from (
                name for code, name in names.items() if code == option.get('code') or name == option.get('name')
            )


def _may_write(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)
