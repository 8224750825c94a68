"""Zone files for name servers that load them (BIND, NSD): whole zones, which are Substruct's alone.

A file is checked by the server's own checker before it takes the place of the old one, and the old one comes back if
the server does not take the new.  Hand-written records have a file of their own, `<zone>.include`, which is never
written here.

The serial number moves only when the content does, and only forwards (RFC 1982), whatever the clock says and whatever
was lost: one more than the highest of what the old file, the ledger and the name server say; the time in seconds for
a zone that nobody knows yet, so that a zone made anew from nothing is still ahead of its former self.
"""

import hashlib
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..desired import Zone
from ..files import sync_folder, write_atomically
from .presentation import Unusable, is_hostname, line, mailbox, plain, shown

MARK = '; Written by Substruct. Changes made here are lost: your own records belong in the file'
_HEAD = re.compile(r'; content ([0-9a-f]{64}) serial ([0-9]{1,10})$', re.MULTILINE)


class FileError(Exception):
    """A zone file cannot be made, checked, written or loaded; the message says what is served now."""


@dataclass(frozen=True, slots=True)
class OldFile:
    """What stands in a zone's file: the digest and serial that its head names, and its records (`body`)."""

    digest: str
    serial: int
    body: str
    intact: bool


def file_name(zone: str) -> str:
    """A zone's file, whatever its name: RFC 2317 has slashes in them."""
    return plain(zone).replace('/', '_') + '.zone'


def include_path(directory: Path, zone: str) -> Path:
    return directory / (file_name(zone).removesuffix('.zone') + '.include')


def apex(zone: Zone) -> list[str]:
    """The NS records.  Raises Unusable."""
    if not zone.name_servers:
        raise Unusable('It has no name servers.')
    servers = [plain(server) for server in zone.name_servers]
    for server in servers:
        if not is_hostname(server):
            raise Unusable(f'Its name server "{server[:100]}" is no name of a host.')
    return [line(plain(zone.name), zone.ttl, 'NS', shown(server)) for server in dict.fromkeys(servers)]


def soa(zone: Zone, serial: int | str) -> str:
    """The SOA record (RFC 1035 section 3.3.13).  Raises Unusable."""
    mname = plain(zone.mname or (zone.name_servers or [''])[0])
    if not is_hostname(mname):
        raise Unusable(f'Its primary name server "{mname[:100]}" is no name of a host.')
    # Nobody gets mail in a reverse zone, and names like RFC 2317's are refused in a mailbox.
    home = mname.partition('.')[2] if plain(zone.name).endswith('.arpa') else plain(zone.name)
    rname = mailbox(zone.rname or f'hostmaster.{home}')
    times = ' '.join(str(n) for n in (zone.refresh, zone.retry, zone.expire, zone.minimum))
    return line(plain(zone.name), zone.ttl, 'SOA', f'{shown(mname)} {rname} {serial} {times}')


def body_of(zone: Zone, lines: Iterable[str]) -> str:
    """All records but the SOA, in one order.  Raises Unusable."""
    return '\n'.join(sorted({*apex(zone), *lines})) + '\n'


def digest_of(zone: Zone, body: str, include: bytes | None) -> str:
    """Names the content: everything but the serial number."""
    found = hashlib.sha256(soa(zone, 'serial').encode())
    found.update(b'\0' + body.encode())
    if include is not None:
        found.update(b'\0' + include)
    return found.hexdigest()


def read(path: Path) -> OldFile | None:
    """The file as it stands; None if there is none.  Raises FileError if it is somebody else's."""
    try:
        text = path.read_text('ascii')
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f'{path} cannot be read ({error}).') from error
    head = _HEAD.search(text, 0, 2000)
    if not text.startswith(MARK) or head is None:
        raise FileError(
            f'{path} was not written by Substruct and is left alone. Move it away, or choose another directory; '
            f'records in it that are still needed belong in {path.with_suffix(".include").name}.'
        )
    # After the head: the SOA, the records, and maybe the line that includes the other file.
    rest = text[head.end() + 1 :]
    _, _, body = rest.partition('\n')
    body = re.sub(r'^\$INCLUDE .*\n', '', body, flags=re.MULTILINE)
    whole = hashlib.sha256(rest.encode()).hexdigest()
    sealed = re.search(r'^; whole ([0-9a-f]{64})$', text[: head.start()], re.MULTILINE)
    return OldFile(head[1], int(head[2]), body, sealed is not None and sealed[1] == whole)


def text_of(zone: Zone, body: str, serial: int, digest: str, include: Path | None) -> str:
    """The whole file."""
    rest = soa(zone, serial) + '\n' + body
    if include is not None:
        rest += f'$INCLUDE {include}\n'
    whole = hashlib.sha256(rest.encode()).hexdigest()
    beside = file_name(zone.name).removesuffix('.zone') + '.include'
    return f'{MARK} {beside}\n; whole {whole}\n; content {digest} serial {serial}\n{rest}'


def later(serials: Iterable[int | None]) -> int | None:
    """The latest of some serial numbers, as RFC 1982 section 3.2 compares them."""
    found: int | None = None
    for serial in serials:
        if serial is not None and (found is None or is_later(serial, found)):
            found = serial
    return found


def is_later(one: int, other: int) -> bool:
    return 0 < (one - other) % 2**32 < 2**31


def next_serial(known: Iterable[int | None], now: float) -> int:
    """The serial number of a new content.  0 is passed over: some servers take it for none."""
    latest = later(known)
    return (int(now) if latest is None else latest + 1) % 2**32 or 1


@dataclass(frozen=True, slots=True)
class Commands:
    """`check` gets the zone's name and the file, `reload` the zone's name.  `loaded` tells the serial that is served
    (None: nobody can be asked)."""

    check: Sequence[str]
    reload: Sequence[str]
    serial: Callable[[], int | None]
    timeout: float = 60.0
    patience: float = 10.0

    def checked(self, zone: str, path: Path) -> None:
        if self.check:
            self._run(
                [*self.check, shown_for_tools(zone), str(path)],
                f'The new file for {zone} was refused by {self.check[0]}',
            )

    def reloaded(self, zone: str, serial: int) -> None:
        if self.reload:
            self._run([*self.reload, shown_for_tools(zone)], f'The name server did not reload {zone}')
        deadline = time.monotonic() + self.patience
        while True:
            try:
                served = self.serial()
                if served is None or served == serial:
                    return
                trouble = FileError(
                    f'The name server still serves serial {served} of {zone} instead of {serial}: its log says why.'
                )
            except FileError as error:
                trouble = error  # servers may be away for a moment while they reload
            if time.monotonic() > deadline:
                raise trouble
            time.sleep(0.05)

    def _run(self, command: list[str], trouble: str) -> None:
        try:
            done = subprocess.run(
                command, capture_output=True, timeout=self.timeout, check=False, stdin=subprocess.DEVNULL
            )
        except FileNotFoundError:
            raise FileError(f'{trouble}: there is no {command[0]}.') from None
        except (OSError, subprocess.TimeoutExpired) as error:
            raise FileError(f'{trouble}: {error}.') from error
        if done.returncode:
            said = (done.stdout + done.stderr).decode('utf-8', 'replace').strip().splitlines()
            raise FileError(f'{trouble}: {"; ".join(said[:5]) or f"exit status {done.returncode}"}.')


def shown_for_tools(zone: str) -> str:
    return plain(zone)


def publish(path: Path, text: str, zone: str, serial: int, commands: Commands) -> None:
    """Check, put in place, reload; put the old file back if the server does not take it.  Raises FileError."""
    beside = path.with_name(f'.{path.name}.check')
    try:
        write_atomically(beside, text)
        commands.checked(zone, beside)
        previous = path.read_bytes() if path.exists() else None
        os.replace(beside, path)
        sync_folder(path.parent)
    except OSError as error:
        raise FileError(f'{path} cannot be written ({error.strerror or error}); the old one is served.') from error
    except FileError as error:
        raise FileError(f'{error} The old one is served.') from error
    finally:
        beside.unlink(missing_ok=True)
    try:
        commands.reloaded(zone, serial)
    except FileError as error:
        if previous is None:
            raise FileError(
                f'{error} The file stays: the zone may be missing in the server’s configuration.'
            ) from error
        try:
            write_atomically(path, previous)
            old = read(path)
            commands.reloaded(zone, old.serial if old else serial)
        except (OSError, FileError) as second:
            raise FileError(f'{error} Putting the last good file back failed too: {second}') from error
        raise FileError(f'{error} The last good file was put back.') from error


def records_in(body: str) -> Iterator[tuple[str, str]]:
    """(name and type, line) of the lines of a body."""
    for text in body.splitlines():
        parts = text.split(' ', 4)
        if len(parts) == 5:
            yield f'{parts[0]} {parts[3]}', text
