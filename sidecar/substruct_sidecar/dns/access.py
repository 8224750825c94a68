"""Where a zone is kept, and how its server is spoken to: out of the zone as NetBox has it, and the settings."""

import re
from urllib.parse import urlsplit

from ..desired import Zone
from ..ledger import Ledger
from ..secrets import Secrets
from ..settings import Dns as DnsSettings
from .keeper import Keeper, Place
from .powerdns import PowerDns
from .presentation import is_name, plain
from .rfc2136 import DnsServer, address_of
from .server import Server
from .tsig import parse_key

API_PORT = 8081
CORRECT = 'Correct the server of the zone in NetBox, or of the settings.'


class Unset(ValueError):
    """A zone cannot be kept as NetBox and the settings have it: message and remedy."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


class Access:
    def __init__(self, settings: DnsSettings, secrets: Secrets, ledger: Ledger) -> None:
        self._settings = settings
        self._secrets = secrets
        self._ledger = ledger

    def place_of(self, zone: Zone) -> Place:
        """Where a zone is kept.  Raises Unset."""
        settings = self._settings
        name = plain(zone.name)
        if not is_name(name):
            raise Unset(f'"{name[:100]}" is no name of a zone.', 'Correct it in NetBox.')
        if zone.update_method == 'zonefile':
            if not settings.zonefile.directory:
                raise Unset('There is no folder for zone files.', 'Set dns.zonefile.directory.')
            if server := zone.server or settings.zonefile.server:
                self._well_formed(server)
            return Place('zonefile', settings.zonefile.directory, name)
        if zone.update_method == 'rfc2136':
            server = zone.server or settings.rfc2136.server
            if not server:
                raise Unset('It names no name server.', 'Give the zone a server in NetBox, or set dns.rfc2136.server.')
            self._well_formed(server)
            return Place('rfc2136', server.strip(), name)
        if zone.update_method == 'powerdns':
            server = zone.server or settings.powerdns.url
            if not server:
                raise Unset('It names no API.', 'Give the zone a server in NetBox, or set dns.powerdns.url.')
            return Place('powerdns', _url(server), name)
        raise Unset(
            f'Its update method "{zone.update_method}" is not known here.', 'Choose another, or update the sidecar.'
        )

    @staticmethod
    def _well_formed(server: str) -> None:
        try:
            address_of(server)
        except ValueError as error:
            raise Unset(str(error), CORRECT) from None

    def credential(self, place: Place, zone: Zone | None) -> str:
        """The name of the secret; that of the last time where the zone has gone."""
        if zone is not None:
            section = self._settings.rfc2136 if place.method == 'rfc2136' else self._settings.powerdns
            return zone.credential or section.credential
        row = self._ledger.get(f'place {place}')
        return row[1] if row else ''

    def server(self, place: Place, credential: str) -> Server:
        """Raises Unset, SecretError and InvalidKey."""
        if place.method == 'rfc2136':
            key = parse_key(self._secrets.get(credential), credential) if credential else None
            return DnsServer(place.server, place.zone, key, self._settings.rfc2136.timeout)
        settings = self._settings.powerdns
        if not credential:
            raise Unset('It names no API key.', '')
        key_text = self._secrets.get(credential).strip()
        if not (key_text.isascii() and key_text.isprintable()):
            raise Unset(f'The secret "{credential}" is no API key.', 'Write the key into it, in one line.')
        return PowerDns(place.server, settings.server_id, place.zone, key_text, settings.timeout)

    def keeper(self, place: Place, server: Server) -> Keeper:
        """Keeps what is ours there."""
        section = self._settings.rfc2136 if place.method == 'rfc2136' else self._settings.powerdns
        adopt = place.zone in (plain(name) for name in self._settings.adopt)
        return Keeper(self._ledger, place, server, section.marker, adopt=adopt)


def _url(server: str) -> str:
    """Of a URL, or of host, host:port or [address]:port.  Raises Unset."""
    scheme, path, place = 'http', '', server
    if server.startswith(('http://', 'https://')):
        parts = urlsplit(server)
        scheme, path, place = parts.scheme, parts.path.rstrip('/'), parts.netloc
        if not re.fullmatch(r'[A-Za-z0-9._~/-]*', path) or parts.query or parts.fragment:
            raise Unset(f'"{server[:300]}" is no URL of an API.', CORRECT)
    try:
        host, port = address_of(place, {'http': 80, 'https': 443}[scheme] if place != server else API_PORT)
    except ValueError as error:
        raise Unset(str(error), CORRECT) from None
    shown_port = f':{port}' if place == server or place.endswith(f':{port}') else ''
    return f'{scheme}://{f"[{host}]" if ":" in host else host}{shown_port}{path}'
