"""The facts of a machine, typed: what it is made of, as the prospector (or Redfish, Salt, …) says it.  Pure.

`read` makes `Facts` of whatever was delivered and never fails: docs/facts.md describes the format, `lenient` how each
value is held to it.  Sizes are bytes, speeds Mbit/s, MAC addresses lower case with colons; None is not known.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import msgspec
from django.utils.translation import gettext as _

from .lenient import (
    Problems,
    address,
    flag,
    mac,
    many,
    maybe,
    network_address,
    number,
    one_of,
    seconds,
    section,
    serial,
    size,
    text,
    uuid,
    words,
)
from .lenient import read as read_shape

FORMAT_VERSION = 1
MIB, GIB = 1 << 20, 1 << 30

Text = Annotated[str | None, text(255)]
Serial = Annotated[str | None, serial()]
Mac = Annotated[str | None, mac()]
Uuid = Annotated[str | None, uuid()]
Size = Annotated[int | None, size()]
Count = Annotated[int | None, number(0, 1_000_000)]
Flag = Annotated[bool | None, flag()]
Address = Annotated[str | None, address()]
Seconds = Annotated[float | None, seconds()]
Vlan = Annotated[int | None, number(0, 4095)]
Architecture = Annotated[
    str | None,
    one_of(
        'x86_64', 'i386', 'aarch64', 'armv7l', 'riscv64', 'ppc64le', 's390x',
        amd64='x86_64', x64='x86_64', i486='i386', i586='i386', i686='i386', x86='i386', arm64='aarch64',
    ),
]  # fmt: skip


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What all parts of facts share."""


class System(Shape, frozen=True, kw_only=True):
    manufacturer: Text = None
    product: Text = None
    version: Text = None
    serial: Serial = None
    uuid: Uuid = None
    asset_tag: Text = None
    sku: Text = None
    family: Text = None
    virtual: Flag = None


class Board(Shape, frozen=True, kw_only=True):
    manufacturer: Text = None
    product: Text = None
    serial: Serial = None


class Chassis(Shape, frozen=True, kw_only=True):
    manufacturer: Text = None
    type: Text = None
    serial: Serial = None
    asset_tag: Text = None


class Firmware(Shape, frozen=True, kw_only=True):
    mode: Annotated[str | None, one_of('bios', 'uefi', efi='uefi', legacy='bios')] = None
    vendor: Text = None
    version: Text = None
    date: Text = None
    secure_boot: Flag = None


class TPM(Shape, frozen=True, kw_only=True):
    version: Text = None


class Processor(Shape, frozen=True, kw_only=True):
    socket: Text = None
    model: Text = None
    cores: Count = None
    threads: Count = None
    speed_mhz: Count = None


class CPU(Shape, frozen=True, kw_only=True):
    architecture: Architecture = None
    sockets: Count = None
    cores: Count = None
    threads: Count = None
    model: Text = None
    processors: Annotated[tuple[Processor, ...], many(Processor, 256)] = ()


class MemoryModule(Shape, frozen=True, kw_only=True):
    slot: Text = None
    size_bytes: Size = None
    type: Text = None
    speed_mts: Count = None
    manufacturer: Text = None
    part_number: Text = None
    serial: Serial = None


class Memory(Shape, frozen=True, kw_only=True):
    total_bytes: Size = None
    modules: Annotated[tuple[MemoryModule, ...], many(MemoryModule, 1024)] = ()


class Health(Shape, frozen=True, kw_only=True):
    passed: Flag = None
    temperature_c: Annotated[int | None, number(-100, 300)] = None
    power_on_hours: Count = None
    wear_percent: Annotated[int | None, number(0, 255)] = None


class Disk(Shape, frozen=True, kw_only=True):
    name: Text = None
    path: Text = None
    size_bytes: Size = None
    vendor: Text = None
    model: Text = None
    serial: Serial = None
    wwn: Text = None
    firmware: Text = None
    transport: Text = None
    rotational: Flag = None
    removable: Flag = None
    by_id: Annotated[tuple[str, ...], many(words(), 64)] = ()
    by_path: Annotated[str | None, words()] = None
    pci_address: Text = None
    health: Annotated[Health, section(Health)] = Health()


class LLDP(Shape, frozen=True, kw_only=True):
    """The neighbour at the other end of a port's cable."""

    chassis_id: Text = None
    chassis_name: Text = None
    port_id: Text = None
    port_description: Text = None
    management_addresses: Annotated[tuple[str, ...], many(address(), 16)] = ()
    vlan: Vlan = None


class Interface(Shape, frozen=True, kw_only=True):
    name: Text = None
    mac: Mac = None
    permanent_mac: Mac = None
    driver: Text = None
    firmware: Text = None
    pci_address: Text = None
    vendor: Text = None
    product: Text = None
    link: Flag = None
    speed_mbps: Annotated[int | None, number(0, 10_000_000)] = None
    mtu: Annotated[int | None, number(0, 65536)] = None
    kind: Text = None
    names: Annotated[tuple[str, ...], many(words(), 32)] = ()
    boot: Flag = None
    in_use: Flag = None
    addresses: Annotated[tuple[str, ...], many(network_address(), 64)] = ()
    lldp: Annotated[LLDP | None, maybe(LLDP)] = None

    @property
    def own_mac(self) -> str | None:
        """The address that the port was made with: that of a bond's port is otherwise the bond's."""
        return self.permanent_mac or self.mac

    @property
    def physical(self) -> bool:
        """Whether it is a port of the machine, not something made of ports."""
        return self.kind in (None, 'physical', 'infiniband')


class BMC(Shape, frozen=True, kw_only=True):
    address: Address = None
    mac: Mac = None
    subnet_mask: Address = None
    gateway: Address = None
    source: Annotated[str | None, one_of('static', 'dhcp', 'bios', 'other')] = None
    vlan: Vlan = None
    firmware: Text = None


class Prospector(Shape, frozen=True, kw_only=True):
    version: Text = None
    kernel: Text = None
    seconds: Seconds = None


class Facts(Shape, frozen=True, kw_only=True):
    """Everything that is known of a machine.  `problems` is what the machine itself could not find out."""

    system: Annotated[System, section(System)] = System()
    board: Annotated[Board, section(Board)] = Board()
    chassis: Annotated[Chassis, section(Chassis)] = Chassis()
    firmware: Annotated[Firmware, section(Firmware)] = Firmware()
    tpm: Annotated[TPM | None, maybe(TPM)] = None
    cpu: Annotated[CPU, section(CPU)] = CPU()
    memory: Annotated[Memory, section(Memory)] = Memory()
    disks: Annotated[tuple[Disk, ...], many(Disk, 1024)] = ()
    interfaces: Annotated[tuple[Interface, ...], many(Interface, 512)] = ()
    bmc: Annotated[BMC | None, maybe(BMC)] = None
    prospector: Annotated[Prospector, section(Prospector)] = Prospector()
    problems: Annotated[tuple[str, ...], many(words(), 200)] = ()

    @property
    def ports(self) -> tuple[Interface, ...]:
        """The physical ports that have a name, which is theirs alone: of two with one name the first."""
        named: dict[str, Interface] = {}
        for each in self.interfaces:
            if each.physical and each.name:
                named.setdefault(each.name[:64], each)
        return tuple(named.values())

    @property
    def boot_port(self) -> Interface | None:
        """The port that it booted from; where that is not known, the one over which it reported."""
        booted = (each for each in self.interfaces if each.boot)
        reported = (each for each in self.interfaces if each.in_use)
        return next(booted, None) or next(reported, None)

    @property
    def macs(self) -> tuple[str, ...]:
        """The MAC addresses of its physical ports, the one that it booted from first."""
        boot = self.boot_port
        listed = [boot] if boot is not None and boot.physical else []
        ports = [*listed, *(each for each in self.interfaces if each.physical)]
        return tuple(dict.fromkeys(mac for each in ports for mac in (each.own_mac, each.mac) if mac))

    @property
    def memory_bytes(self) -> int | None:
        """What its modules hold, else what the kernel was left."""
        return sum(module.size_bytes or 0 for module in self.memory.modules) or self.memory.total_bytes

    @property
    def memory_gib(self) -> int | None:
        return math.ceil(self.memory_bytes / GIB) if self.memory_bytes else None

    @property
    def memory_mib(self) -> int | None:
        """What a virtual machine was given: exactly where its modules say it, else the next whole GiB."""
        modules = sum(module.size_bytes or 0 for module in self.memory.modules)
        return modules // MIB if modules else (self.memory_gib or 0) * 1024 or None

    @property
    def manufacturer(self) -> str | None:
        return self.system.manufacturer or self.board.manufacturer or self.chassis.manufacturer

    @property
    def product(self) -> str | None:
        return self.system.product or self.board.product

    @property
    def serial(self) -> str | None:
        return self.system.serial or self.chassis.serial

    @property
    def asset_tag(self) -> str | None:
        return self.chassis.asset_tag or self.system.asset_tag


class Reading(NamedTuple):
    """Facts, and what could not be read of them."""

    facts: Facts
    problems: tuple[str, ...]


def read(data: object, format_version: int = FORMAT_VERSION) -> Reading:
    """Facts of whatever was delivered.  Nothing is read of a format that is not known."""
    if format_version != FORMAT_VERSION:
        return Reading(
            Facts(),
            (
                _('These facts have the format version {version}, and this Substruct reads version {known}: they are '
                  'kept, and nothing is made of them.').format(version=format_version, known=FORMAT_VERSION),
            ),
        )  # fmt: skip
    problems = Problems()
    if not isinstance(data, dict):
        problems.add('', _('Facts are an object of sections.'))
        return Reading(Facts(), problems.all())
    facts = read_shape(Facts, data, '', problems)
    return Reading(facts, problems.all())


def plain(facts: Facts) -> dict[str, Any]:
    """What conditions and host name templates see: the facts, and a few values that follow from them."""
    found: dict[str, Any] = msgspec.to_builtins(facts)
    found['memory']['total_gib'] = facts.memory_gib
    found['manufacturer'] = facts.manufacturer
    found['product'] = facts.product
    found['serial'] = facts.serial
    found['boot_interface'] = msgspec.to_builtins(facts.boot_port)
    found['disk_count'] = len([disk for disk in facts.disks if not disk.removable])
    found['interface_count'] = len(facts.ports)
    return _as_lists(found)


def _as_lists(value: Any) -> Any:
    """Lists where there are tuples: that is what JSON has."""
    if isinstance(value, Mapping):
        return {key: _as_lists(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_as_lists(each) for each in value]
    return value


# What is another at every boot of the same machine.
_FLEETING_OF_DISKS = frozenset(('temperature_c', 'power_on_hours'))


def essence(data: Any) -> Any:
    """Delivered facts without what differs at every boot of one machine: if this is equal, nothing has changed."""
    if not isinstance(data, dict):
        return data
    found = {key: value for key, value in data.items() if key not in ('prospector', 'problems')}
    if isinstance(found.get('disks'), list):
        found['disks'] = [_without_fleeting(disk) for disk in found['disks']]
    return found


def _without_fleeting(disk: Any) -> Any:
    if not isinstance(disk, dict) or not isinstance(disk.get('health'), dict):
        return disk
    health = {key: value for key, value in disk['health'].items() if key not in _FLEETING_OF_DISKS}
    return {**disk, 'health': health}
