"""PowerDNS by its HTTP API (version 1): one zone, changed by PATCH of whole sets of records.

The API has no conditions: what is there is read, compared and then replaced, so that somebody who changes the same set
within these milliseconds loses his change.  Values of other origin in a set are written back as they were.
"""

import http.client
import json
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from .presentation import Unusable, plain, rdata, shown, text_of
from .server import Conflict, Edit, Found, Refused, Unreachable

# With more names than this, the whole zone is read at once.
ONE_BY_ONE = 40


class PowerDns:
    """`url` is http(s)://host:port of the API; `key` its X-API-Key; `timeout` in seconds."""

    merges = True

    def __init__(self, url: str, server_id: str, zone: str, key: str, timeout: float) -> None:
        self.url = url.rstrip('/')
        self._zone = plain(zone)
        self._key = key
        self._timeout = timeout
        self._servers = f'/api/v1/servers/{quote(server_id, safe="")}'
        # PowerDNS's own escape for what cannot be in a path: =2F is a slash.
        encoded = ''.join(c if c.isalnum() or c in '.-' else f'={ord(c):02X}' for c in shown(self._zone))
        self._path = f'{self._servers}/zones/{encoded}'
        self._connection: http.client.HTTPConnection | None = None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def send(self, edits: Sequence[Edit]) -> None:
        names = {edit.name for edit in edits}
        there = self._raw(sorted(names))
        sets = []
        wrong = set()
        for edit in edits:
            found = there.get(edit.name, {})
            records = found.get(edit.type, {}).get('records', [])
            values = {_canonical(edit.type, record['content']): record for record in records}
            if (
                values.keys() != edit.expect
                or (edit.clear == 'cname' and 'CNAME' in found)
                or (edit.clear == 'name' and found)
            ):
                wrong.add(edit.name)
                continue
            kept = [record for value, record in values.items() if value not in edit.remove]
            ttl = found[edit.type]['ttl'] if kept and edit.type in found else edit.ttl
            wanted = kept + [{'content': value, 'disabled': False} for value in edit.add]
            change: dict[str, Any] = {'name': shown(edit.name), 'type': edit.type, 'changetype': 'DELETE'}
            if wanted:
                change |= {'changetype': 'REPLACE', 'ttl': ttl, 'records': wanted}
            sets.append(change)
        if wrong:
            raise Conflict(frozenset(wrong))
        self._ask('PATCH', self._path, {'rrsets': sets})

    def read(self, wanted: Mapping[str, Iterable[str]], *, others: bool = False) -> dict[str, Found]:
        return {
            name: {
                type_: (rrset['ttl'], frozenset(_canonical(type_, r['content']) for r in rrset['records']))
                for type_, rrset in sets.items()
            }
            for name, sets in self._raw(list(wanted)).items()
        }

    def everything(self) -> Iterator[tuple[str, str, int, str]]:
        for rrset in self._ask('GET', self._path)['rrsets']:
            for record in rrset['records']:
                yield plain(rrset['name']), rrset['type'], rrset['ttl'], _canonical(rrset['type'], record['content'])

    def serial(self) -> int:
        return int(self._ask('GET', f'{self._path}?rrsets=false')['serial'])

    def counts_up(self) -> bool:
        """Whether changes by the API give the zone a new serial number (the zone's metadata SOA-EDIT-API)."""
        return bool(self._ask('GET', f'{self._path}?rrsets=false').get('soa_edit_api'))

    def exists(self) -> bool:
        return self._ask('GET', f'{self._path}?rrsets=false', missing=True) is not None

    def version(self) -> str:
        return str(self._ask('GET', self._servers)['version'])

    def create(self, name_servers: Sequence[str], kind: str, soa: str, ns_ttl: int) -> None:
        """Make the zone.  `soa` is a line of a zone file."""
        _, ttl, _, _, content = soa.split(' ', 4)
        self._ask(
            'POST', f'{self._servers}/zones',
            {
                'name': shown(self._zone), 'kind': kind, 'nameservers': [],
                'rrsets': [
                    {
                        'name': shown(self._zone), 'type': 'SOA', 'ttl': int(ttl),
                        'records': [{'content': content, 'disabled': False}],
                    },
                    {
                        'name': shown(self._zone), 'type': 'NS', 'ttl': ns_ttl,
                        'records': [{'content': shown(plain(s)), 'disabled': False} for s in name_servers],
                    },
                ],
            },
        )  # fmt: skip

    # ------------------------------------------------------------------ the wire

    def _raw(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The API's own sets of records, by name and type."""
        if len(names) > ONE_BY_ONE:
            sets = self._ask('GET', self._path)['rrsets']
        else:
            sets = [
                rrset
                for name in names
                for rrset in self._ask('GET', f'{self._path}?rrset_name={quote(shown(name), safe="")}')['rrsets']
            ]
        wanted = set(names)
        found: dict[str, dict[str, Any]] = {}
        for rrset in sets:
            if (name := plain(rrset['name'])) in wanted and rrset['records']:
                found.setdefault(name, {})[rrset['type']] = rrset
        return found

    def _ask(self, method: str, path: str, body: Any = None, *, missing: bool = False) -> Any:
        parts = urlsplit(self.url)
        headers = {'X-API-Key': self._key, 'Accept': 'application/json'}
        content = None
        if body is not None:
            headers['Content-Type'] = 'application/json'
            content = json.dumps(body).encode()
        sent = False
        try:
            if self._connection is None:
                host, port = parts.hostname or '', parts.port
                if parts.scheme == 'https':
                    context = ssl.create_default_context()
                    self._connection = http.client.HTTPSConnection(host, port, timeout=self._timeout, context=context)
                else:
                    self._connection = http.client.HTTPConnection(host, port, timeout=self._timeout)
                self._connection.connect()
            sent = method != 'GET'
            self._connection.request(method, parts.path.rstrip('/') + path, content, headers)
            answer = self._connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            words = getattr(error, 'strerror', None) or str(error) or type(error).__name__
            raise Unreachable(f'The API of PowerDNS at {self.url} cannot be reached: {words}.', sent=sent) from error
        if answer.will_close:
            self.close()
        if missing and answer.status == 404:
            return None
        if answer.status in (401, 403):
            raise Refused(f'The API of PowerDNS at {self.url} does not take the key.')
        if answer.status == 404:
            raise Refused(
                f'PowerDNS at {self.url} has no zone {self._zone}: create it there (pdnsutil create-zone '
                f'{self._zone}), or set dns.powerdns.create_zones.'
            )
        if answer.status >= 500:
            raise Unreachable(f'PowerDNS at {self.url} failed: {_said(data)}.', sent=sent)
        if answer.status >= 300:
            raise Refused(f'PowerDNS at {self.url} refuses: {_said(data)}.')
        try:
            return json.loads(data) if data else None
        except ValueError:
            raise Unreachable(f'{self.url} does not answer as the API of PowerDNS does.', sent=sent) from None


def _said(data: bytes) -> str:
    try:
        return str(json.loads(data)['error'])[:300]
    except (ValueError, KeyError, TypeError):
        return data[:200].decode('utf-8', 'replace').strip() or 'without words'


def _canonical(type_: str, content: str) -> str:
    """The one form of a value, so that ours are known again; what cannot be read is somebody else's in any case."""
    try:
        return text_of(rdata(type_, content))
    except Unusable:
        return content
