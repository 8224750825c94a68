"""What tells machines apart: MAC addresses, SMBIOS UUIDs and serial numbers, brought to one form.  Pure.

Firmware is full of identifiers that identify nothing; those do not count.  The sidecar has the same rules for what it
answers to machines (a test holds the two to each other); it never imports the plugin.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

_MAC = re.compile(r'[0-9a-f]{12}\Z')

# What boards that nobody has programmed say, in lower case without white space and punctuation.
_BLANK_SERIALS = frozenset(
    (
        '', '0', 'none', 'na', 'nil', 'null', 'unknown', 'default', 'defaultstring', 'empty', 'invalid',
        'notapplicable', 'notavailable', 'notspecified', 'notprovided', 'tobefilledbyoem', 'systemserialnumber',
        'chassisserialnumber', 'serialnumber', 'baseboardserialnumber', 'oem', 'xxxxxxxxxx', '0123456789', '123456789',
        '1234567890', '01234567890123456789',
    )
)  # fmt: skip
_BLANK_UUIDS = frozenset(
    (
        '00000000-0000-0000-0000-000000000000',
        'ffffffff-ffff-ffff-ffff-ffffffffffff',
        '03000200-0400-0500-0006-000700080009',  # boards of several makers, never programmed
        '12345678-1234-5678-90ab-cddeefaabbcc',
        'fefefefe-fefe-fefe-fefe-fefefefefefe',
    )
)


def clean_mac(value: str | None) -> str | None:
    """A MAC address as aa:bb:cc:dd:ee:ff, from any usual spelling; None where it is none, or not a single machine's."""
    if value is None:
        return None
    found = re.sub(r'[:.\-]', '', value.strip().lower())
    if not _MAC.match(found) or found in ('000000000000', 'ffffffffffff') or int(found[:2], 16) & 1:
        return None
    return ':'.join(found[i : i + 2] for i in range(0, 12, 2))


def clean_uuid(value: str | None) -> str | None:
    """A UUID in lower case; None where it is none or a known placeholder."""
    if not value:
        return None
    try:
        found = str(UUID(value.strip()))
    except ValueError:
        return None
    return None if found in _BLANK_UUIDS else found


def swapped_uuid(value: str) -> str:
    """The same UUID with its first three parts in the other byte order.

    Firmware older than SMBIOS 2.6 hands them out the other way round (SMBIOS 3.6 section 7.2.1), so boot loaders and
    operating systems disagree about the UUID of one machine.
    """
    return str(UUID(bytes=UUID(value).bytes_le))


def clean_serial(value: str | None) -> str | None:
    """A serial number in upper case without surrounding white space; None for placeholders."""
    if value is None:
        return None
    found = ' '.join(value.split()).upper()
    plain = re.sub(r'[\W_]+', '', found.lower())
    if plain in _BLANK_SERIALS or len(set(plain)) == 1:
        return None
    return found


@dataclass(frozen=True, slots=True)
class Identity:
    """What a machine says of itself, without what identifies nothing."""

    uuid: str | None = None
    serial: str | None = None
    macs: tuple[str, ...] = ()

    @classmethod
    def of(cls, uuid: str | None, serial: str | None, macs: Iterable[str]) -> 'Identity':
        found = dict.fromkeys(mac for value in macs if (mac := clean_mac(value)) is not None)
        return cls(clean_uuid(uuid), clean_serial(serial), tuple(found))

    def __bool__(self) -> bool:
        return bool(self.uuid or self.serial or self.macs)

    def has_uuid(self, other: str) -> bool:
        """Whether the UUID of a machine is this one, in whichever byte order."""
        return self.uuid is not None and other in (self.uuid, swapped_uuid(self.uuid))
