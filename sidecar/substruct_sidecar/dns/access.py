"""Where a zone is kept, and how its server is spoken to: out of the zone as NetBox has it, and the settings."""

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
            return Place('zonefile', settings.zonefile.directory, name)
        if zone.update_method == 'rfc2136':
            server = zone.server or settings.rfc2136.server
            if not server:
                raise Unset('It names no name server.', 'Give the zone a server in NetBox, or set dns.rfc2136.server.')
            try:
                address_of(server)
            except ValueError as error:
                raise Unset(str(error), 'Correct the zone’s server in NetBox.') from None
            return Place('rfc2136', server.strip(), name)
        if zone.update_method == 'powerdns':
            url = _url(zone.server) if zone.server else settings.powerdns.url.rstrip('/')
            if any(c.isspace() for c in url):
                raise Unset(f'"{url}" is no server.', 'Correct the zone’s server in NetBox.')
            if not url:
                raise Unset('It names no API.', 'Give the zone a server in NetBox, or set dns.powerdns.url.')
            return Place('powerdns', url, name)
        raise Unset(
            f'Its update method "{zone.update_method}" is not known here.', 'Choose another, or update the sidecar.'
        )

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
        return PowerDns(place.server, settings.server_id, place.zone, key_text, settings.timeout)

    def keeper(self, place: Place, server: Server) -> Keeper:
        """Keeps what is ours there."""
        section = self._settings.rfc2136 if place.method == 'rfc2136' else self._settings.powerdns
        adopt = place.zone in (plain(name) for name in self._settings.adopt)
        return Keeper(self._ledger, place, server, section.marker, adopt=adopt)


def _url(server: str) -> str:
    if server.startswith(('http://', 'https://')):
        return server.rstrip('/')
    host, port = (server, '8081') if ':' not in server else server.rsplit(':', 1)
    return f'http://{host}:{port}'
