"""Reservations: what Kea must know of a host, and one of them as JSON.  Pure.

They stand in the configuration (`kea_config`) or in Kea's host tables (`kea_database`), and say the same there.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from ..plan import Problem
from .kea_base import CONTEXT, OWN
from .kea_control import Family
from .model import Host, IdentifierKind, Subnet

KNOWN_TO_BOOT = f'{OWN}boot'
KNOWN_ONLY = f'{OWN}known'
"""For hosts that do not boot: Kea refuses a reservation that gives its client nothing at all."""
EVERYWHERE = 0
"""Kea's subnet id of reservations that hold wherever a client turns up."""

LONGEST = 128
"""Bytes of an identifier that Kea takes."""

KEA_NAMES: dict[IdentifierKind, str] = {
    'mac': 'hw-address',
    'client-id': 'client-id',
    'duid': 'duid',
    'circuit-id': 'circuit-id',
}
KINDS: dict[Family, tuple[IdentifierKind, ...]] = {4: ('mac', 'duid', 'circuit-id', 'client-id'), 6: ('mac', 'duid')}


@dataclass(frozen=True, slots=True)
class Reservation:
    """One client, known by one identifier, in one subnet or everywhere (`subnet` 0).

    `address` is text or ''.  (family, subnet, kind, identifier) is unique in Kea.
    """

    family: Family
    subnet: int
    kind: IdentifierKind
    identifier: str
    address: str
    hostname: str
    boot: bool
    machine: int
    host: str

    @property
    def key(self) -> tuple[Family, int, IdentifierKind, str]:
        return self.family, self.subnet, self.kind, self.identifier


def reservations(
    host: Host, families: Iterable[Family], served: Mapping[int, Subnet], everywhere: bool = True
) -> Iterator[Reservation]:
    """What Kea must know of a host.

    In each subnet where it has an address it has a reservation with that address.  Beside it stands one that holds in
    every subnet, without an address: a machine that turns up elsewhere is then still known by its name, and whether
    it boots.  Without `everywhere` only hosts that have no address are known so.
    """
    for family in families:
        placed = [found for found in host.version(family) if found.subnet in served]
        for kind in KINDS[family]:
            for identifier in host.of(kind):
                common = (host.hostname, host.boot, host.machine, host.key)
                if everywhere or not placed:
                    yield Reservation(family, EVERYWHERE, kind, identifier, '', *common)
                for found in placed:
                    yield Reservation(family, found.subnet, kind, identifier, str(found.address), *common)


class ReservationLine(msgspec.Struct, omit_defaults=True, rename='kebab', gc=False):
    """A reservation as Kea has it."""

    hw_address: str = ''
    duid: str = ''
    circuit_id: str = ''
    client_id: str = ''
    ip_address: str = ''
    ip_addresses: tuple[str, ...] = ()
    hostname: str = ''
    client_classes: tuple[str, ...] = ()
    user_context: dict[str, Any] = {}


_encode = msgspec.json.Encoder().encode


def class_of(found: Reservation) -> str:
    return KNOWN_TO_BOOT if found.boot else KNOWN_ONLY


def reservation_json(found: Reservation) -> bytes:
    written = ReservationLine(
        hostname=found.hostname,
        client_classes=(class_of(found),),
        user_context={CONTEXT: {'machine': found.machine, 'host': found.host}},
    )
    setattr(written, KEA_NAMES[found.kind].replace('-', '_'), found.identifier)
    if found.address:
        if found.family == 4:
            written.ip_address = found.address
        else:
            written.ip_addresses = (found.address,)
    return _encode(written)


def fits(kind: str, identifier: str) -> bool:
    size = len(identifier.replace(':', '')) // 2
    return kind == 'mac' or (3 if kind == 'duid' else 2 if kind == 'client-id' else 1) <= size <= LONGEST


def unfit(host: Host) -> Iterator[Problem]:
    for found in host.identifiers:
        if not fits(found.kind, found.value):
            yield Problem(
                'dhcp', 'machine', host.machine, host.machine_name,
                f'its {found.kind} {found.value[:60]}… has {len(found.value) // 2} bytes; Kea takes up to {LONGEST}.',
                'It is served by its other identifiers.',
            )  # fmt: skip
