"""What a virtual machine is made of.  Pure values, checked when made; what is not said follows from the name."""

import hashlib
import re
import uuid
from dataclasses import dataclass, field, replace
from typing import Literal

import msgspec

from lab.errors import LabError

type Firmware = Literal['bios', 'uefi']
type Client = Literal['ipxe', 'plain', 'http']
type Network = Literal['boot', 'dark', 'none']

GIB = 1 << 30
_NAMESPACE = uuid.UUID('6f2d8f0e-6f5c-4e0a-9a3c-3d2b1f6a7c55')
_NAME = re.compile(r'[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?')
_MAC = re.compile(r'[0-9a-f]{2}(:[0-9a-f]{2}){5}')


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Nic:
    """A network card.  `network` none: its cable is not plugged in.

    With `port`, the switch at the other end says by LLDP that this is its port of that name.
    """

    mac: str = ''
    network: Network = 'boot'
    model: Literal['virtio', 'e1000'] = 'virtio'
    port: str = ''


@dataclass(frozen=True)
class Disk:
    """A disk of `size` bytes, empty at first.  virtio disks have no WWN, and QEMU's NVMe disks neither."""

    size: int = 8 * GIB
    kind: Literal['virtio', 'sata', 'scsi', 'nvme'] = 'virtio'
    serial: str = ''
    wwn: str = ''
    rotational: bool = False


@dataclass(frozen=True)
class Spec:
    """One machine.

    `client` is what its network card boots with: `ipxe` (a ROM that is iPXE already), `plain` (an ordinary PXE ROM;
    OVMF's own under UEFI) or `http` (UEFI HTTP boot).  `boots_from` is the number of the card that boots, from 0.
    `memory` is in MiB.  `arguments` go to QEMU as they are.
    """

    name: str
    firmware: Firmware = 'bios'
    client: Client | Literal[''] = ''
    uuid: str = ''
    serial: str | None = None
    manufacturer: str = 'Substruct'
    product: str = 'Virtual rack'
    sku: str = ''
    asset_tag: str = ''
    nics: tuple[Nic, ...] = (Nic(),)
    boots_from: int = 0
    disks: tuple[Disk, ...] = (Disk(),)
    memory: int = 1024
    cpus: int = 1
    cpu: str = ''
    secure_boot: bool = False
    arguments: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        """Fills in what follows from the name.  Raises LabError."""
        if not _NAME.fullmatch(self.name):
            raise LabError(f'"{self.name}" is no name of a machine: small letters, digits and hyphens, at most 42')
        set_ = object.__setattr__
        digest = _digest(self.name)
        if not self.client:
            set_(self, 'client', 'plain' if self.firmware == 'uefi' else 'ipxe')
        if self.client == 'http' and self.firmware != 'uefi':
            raise LabError(f'{self.name}: only UEFI boots over HTTP by itself')
        try:
            set_(self, 'uuid', str(uuid.UUID(self.uuid) if self.uuid else uuid.uuid5(_NAMESPACE, self.name)))
        except ValueError:
            raise LabError(f'{self.name}: "{self.uuid}" is no UUID') from None
        if self.serial is None:
            set_(self, 'serial', f'SN{digest[:8].upper()}')
        set_(self, 'nics', tuple(self._nic(number, nic) for number, nic in enumerate(self.nics)))
        if len({nic.mac for nic in self.nics}) < len(self.nics):
            raise LabError(f'{self.name}: two of its network cards have the same MAC address')
        set_(self, 'disks', tuple(self._disk(number, disk) for number, disk in enumerate(self.disks)))
        if self.nics and not 0 <= self.boots_from < len(self.nics):
            raise LabError(f'{self.name}: it has no network card number {self.boots_from}, for it has {len(self.nics)}')
        if self.memory < 64 or self.cpus < 1:
            raise LabError(f'{self.name}: {self.memory} MiB of memory and {self.cpus} processors are too few')

    def _nic(self, number: int, nic: Nic) -> Nic:
        mac = nic.mac.lower().replace('-', ':')
        if not mac:
            digest = _digest(f'{self.name} {number}')
            mac = f'52:54:00:{digest[:2]}:{digest[2:4]}:{digest[4:6]}'  # the range that QEMU's machines have
        if not _MAC.fullmatch(mac):
            raise LabError(f'{self.name}: "{nic.mac}" is no MAC address')
        return replace(nic, mac=mac)

    def _disk(self, number: int, disk: Disk) -> Disk:
        serial = disk.serial or f'DISK{_digest(f"{self.name} disk {number}")[:8].upper()}'
        if disk.size < 512 or disk.size % 512:
            raise LabError(f'{self.name}: a disk of {disk.size} bytes is not made of sectors')
        if disk.wwn and not re.fullmatch(r'(0x)?[0-9a-f]{16}', disk.wwn):
            raise LabError(f'{self.name}: "{disk.wwn}" is no WWN: 16 hexadecimal digits')
        return replace(disk, serial=serial)

    @property
    def mac(self) -> str:
        """Of the card that boots."""
        return self.nics[self.boots_from].mac if self.nics else ''


def encode(spec: Spec) -> bytes:
    return msgspec.json.format(msgspec.json.encode(spec), indent=2)


def decode(text: bytes | str) -> Spec:
    """Raises msgspec.ValidationError."""
    return msgspec.json.decode(text, type=Spec)
