"""Which machine asks, by what it says of itself: MAC address, SMBIOS UUID, serial number.  Pure, but for the lookups.

Whatever may be destroyed depends on this, so it says "that one" only where nothing contradicts it.  A MAC address that
several machines claim, or identifiers that point to different machines, are a conflict, and a conflict never builds.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ..identity import clean_mac, clean_serial, clean_uuid, swapped_uuid

# Given a kind of claim (mac, uuid, serial) and a value, the ids of the machines that claim it (`state.View.holders`).
type Holders = Callable[[str, str], Sequence[int]]


@dataclass(frozen=True, slots=True)
class Claims:
    """What a machine says of itself, brought to one form; None where it says nothing that identifies.

    `other_macs` are of its other ports, where it knows them.  `architecture` is as the kernel names it; `platform` is
    bios or efi, '' if it was not said.
    """

    mac: str | None = None
    uuid: str | None = None
    serial: str | None = None
    architecture: str = ''
    platform: str = ''
    other_macs: tuple[str, ...] = ()

    def __str__(self) -> str:
        """For people: what identifies it."""
        parts = (('MAC address', self.mac), ('UUID', self.uuid), ('serial number', self.serial))
        return ', '.join(f'{name} {value}' for name, value in parts if value) or 'nothing that identifies it'


@dataclass(frozen=True, slots=True)
class Known:
    machine: int
    by: str


# Where the names of the machines stand in the words of a conflict.
NAMES = '{names}'


@dataclass(frozen=True, slots=True)
class Conflict:
    """`machines` are all who are meant; `why` says it in words, with NAMES for their names."""

    machines: tuple[int, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Unknown:
    pass


type Found = Known | Conflict | Unknown

# MAC addresses that are looked at of a machine that says many.
MOST_MACS = 32

# What iPXE's ${buildarch} says, and what the kernel calls it.  A BIOS boot loader is 32 bits on every 64-bit machine.
_ARCHITECTURES = {
    'i386': 'x86_64', 'x86_64': 'x86_64', 'arm32': 'armv7l', 'arm64': 'aarch64', 'aarch64': 'aarch64',
    'riscv64': 'riscv64', 'loong64': 'loongarch64',
}  # fmt: skip


def claims(
    mac: str | Iterable[str] = '', uuid: str = '', serial: str = '', architecture: str = '', platform: str = ''
) -> Claims:
    """From what stands in a query: anything at all."""
    given = [mac] if isinstance(mac, str) else list(mac)[:MOST_MACS]
    macs = list(dict.fromkeys(found for one in given if (found := clean_mac(one))))
    return Claims(
        mac=macs[0] if macs else None,
        other_macs=tuple(macs[1:]),
        uuid=clean_uuid(uuid),
        serial=clean_serial(serial[:200]),
        architecture=_ARCHITECTURES.get(architecture.strip().lower(), ''),
        platform={'efi': 'efi', 'pcbios': 'bios', 'bios': 'bios'}.get(platform.strip().lower(), ''),
    )


def identify(said: Claims, holders: Holders) -> Found:
    """Three or four lookups, whatever the number of machines."""
    found: list[tuple[str, frozenset[int]]] = []
    for mac in (said.mac, *said.other_macs) if said.mac else ():
        at_mac = tuple(holders('mac', mac))
        if len(at_mac) > 1:
            return Conflict(at_mac, f'The MAC address {mac} belongs to several machines in NetBox: {NAMES}.')
        if at_mac:
            found.append((f'MAC address {mac}', frozenset(at_mac)))
    if said.uuid:
        # Firmware and boot loaders disagree about the order of its bytes.
        at_uuid = frozenset(holders('uuid', said.uuid)) | frozenset(holders('uuid', swapped_uuid(said.uuid)))
        if at_uuid:
            found.append((f'UUID {said.uuid}', at_uuid))
    if said.serial and (at_serial := frozenset(holders('serial', said.serial))):
        found.append((f'serial number {said.serial}', at_serial))
    if not found:
        return Unknown()
    meant = frozenset.intersection(*(ids for _, ids in found))
    if len(meant) == 1:
        return Known(next(iter(meant)), ', '.join(name for name, _ in found))
    everyone = tuple(sorted(frozenset.union(*(ids for _, ids in found))))
    names = ' and '.join(name for name, _ in found)
    if not meant:
        return Conflict(everyone, f'{names} belong to different machines in NetBox: {NAMES}.')
    return Conflict(everyone, f'{names} may be any of several machines in NetBox: {NAMES}.')


def is_another(said: str | None, known: str | None) -> bool:
    """Whether a machine that says this UUID cannot be the one whose UUID NetBox knows, whatever else is said.

    A card that was moved to another chassis takes its MAC address along, and boards share serial numbers.
    """
    if not said or not (found := clean_uuid(known)):
        return False
    return said not in (found, swapped_uuid(found))
