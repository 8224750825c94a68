"""What the boot server wants of this machine.  Reading its answer is pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlencode

from . import web

ACTIONS = (
    'build', 'local', 'rescue', 'discovery', 'wipe', 'nothing', 'unknown', 'conflict', 'waiting', 'no-state',
)  # fmt: skip
# Seconds between two questions, whatever the server says.
SOONEST, LATEST = 2.0, 300.0


@dataclass(frozen=True)
class Orders:
    """`wait`: it came to be discovered, and stays where there is nothing else to do."""

    action: str
    machine: str = ''
    reason: str = ''
    wait: bool = True
    again: float = 10.0


def read(said: object) -> Orders:
    """Raises WebError for what is no answer to this question."""
    if not isinstance(said, dict) or said.get('action') not in ACTIONS:
        raise web.WebError(f'the boot server gave orders that are not understood: {str(said)[:120]}')
    again = said.get('again')
    return Orders(
        action=str(said['action']), machine=str(said.get('machine') or ''), reason=str(said.get('reason') or ''),
        wait=said.get('wait') is not False,
        again=min(LATEST, max(SOONEST, float(again))) if isinstance(again, (int, float)) else 10.0,
    )  # fmt: skip


@dataclass(frozen=True)
class Who:
    """How this machine names itself, as iPXE would: `macs` has the card that it booted from first."""

    macs: tuple[str, ...]
    uuid: str
    serial: str
    architecture: str
    platform: str

    @property
    def settings(self) -> dict[str, str]:
        """iPXE's settings of the same names."""
        return {
            'mac': self.macs[0] if self.macs else '', 'uuid': self.uuid, 'serial': self.serial,
            'buildarch': {'aarch64': 'arm64'}.get(self.architecture, self.architecture),
            'platform': {'bios': 'pcbios'}.get(self.platform, self.platform),
        }  # fmt: skip


def who(identity: dict[str, object], boot_mac: str, architecture: str, uefi: bool) -> Who:
    macs = [str(mac) for mac in cast('Sequence[object]', identity.get('macs') or ())]
    first = [mac for mac in macs if mac == boot_mac]
    return Who(
        tuple(first + [mac for mac in macs if mac != boot_mac]), str(identity.get('uuid') or ''),
        str(identity.get('serial') or ''), architecture, 'efi' if uefi else 'bios',
    )  # fmt: skip


def orders_url(base: str, me: Who) -> str:
    query = [('mac', ','.join(me.macs)), ('uuid', me.uuid), ('serial', me.serial), ('arch', me.architecture)]
    return f'{base}/orders?{urlencode([*query, ("platform", me.platform)], safe=":,")}'


def script_url(base: str, me: Who) -> str:
    """The query that iPXE would ask with, but that it names all MAC addresses: orders were given for these."""
    settings = me.settings
    query = [('mac', ','.join(me.macs).replace(':', '-')), ('uuid', me.uuid), ('serial', me.serial)]
    query += [('arch', settings['buildarch']), ('platform', settings['platform'])]
    return f'{base}/boot.ipxe?{urlencode(query, safe=",")}'


def ask(base: str, me: Who) -> Orders:
    """Raises WebError."""
    return read(web.ask(orders_url(base, me), silence=15.0).json())
