"""What is asked of a name server for one zone: conditional edits, and looking.  rfc2136.py and powerdns.py do it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

# What a server holds at one name: by type the TTL and the values in presentation format.
type Found = Mapping[str, tuple[int, frozenset[str]]]


class Edit(NamedTuple):
    """A change of one set of records.  It may only be made while exactly `expect` is there.

    `clear` says what else must not be there: 'cname' (no CNAME at this name), 'name' (nothing) or '' (whatever).
    """

    name: str
    type: str
    expect: frozenset[str]
    remove: tuple[str, ...]
    add: tuple[str, ...]
    ttl: int
    clear: str = ''


class Conflict(Exception):
    """The server did nothing: what is there is not what was expected.  `names` says where, if it is known."""

    def __init__(self, names: frozenset[str] = frozenset()) -> None:
        super().__init__('What is there is not what was expected.')
        self.names = names


class Refused(Exception):
    """The server did nothing, because it does not want to; maybe because of one record among others."""


class Unreachable(Exception):
    """`sent` is whether the server may have carried it out all the same."""

    def __init__(self, message: str, *, sent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent


class Server(Protocol):
    """One zone at one server.  All methods raise Refused and Unreachable."""

    # Whether values can be added to and taken from a set that holds other people's values.
    merges: bool

    def send(self, edits: Sequence[Edit]) -> None:
        """All edits or none, at once.  Raises Conflict."""
        ...

    def read(self, wanted: Mapping[str, Iterable[str]], *, others: bool = False) -> dict[str, Found]:
        """What stands at some names: these types, and with `others` also whether there is anything else.  Names with
        nothing may be left out."""
        ...

    def everything(self) -> Iterator[tuple[str, str, int, str]]:
        """(name, type, TTL, value) of the whole zone."""
        ...

    def serial(self) -> int: ...

    def close(self) -> None: ...
