"""What is wrong with settings beyond their types: each fault with its key, and words that say what to do.  Pure."""

import re
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .dhcp import clients

if TYPE_CHECKING:
    from .settings import Boot, Dns, Dnsmasq, Kea, Settings

# It stands in DHCP packets and URLs as it is.
_LOADER = re.compile(r'[A-Za-z0-9][A-Za-z0-9._/-]{0,99}\Z')


def faults(settings: 'Settings') -> Iterator[tuple[str, str]]:
    """What types alone do not find, as (key, words)."""
    yield from _url('netbox.url', settings.netbox.url)
    if settings.netbox.token and settings.netbox.token_file:
        yield 'netbox.token', 'netbox.token_file is set too; keep one of them.'
    for key in ('timeout', 'poll_interval', 'heartbeat_interval'):
        if not 0 < getattr(settings.netbox, key) <= 86400:
            yield f'netbox.{key}', 'is not between 0 and 86400 seconds.'
    for name in ('state', 'run', 'files', 'loaders', 'prospector'):
        folder = getattr(settings.paths, name)
        if not folder.startswith('/') and (folder or name in ('state', 'run')):
            yield f'paths.{name}', f'"{folder}" is no absolute path.'
    if len(f'{settings.paths.run}/wake'.encode()) > 107:  # unix(7)
        yield 'paths.run', 'is too long for the name of a socket in it: at most 102 bytes.'
    for key, addresses in (
        ('boot.http', settings.boot.http), ('boot.tftp', settings.boot.tftp), ('manage.listen', settings.manage.listen)
    ):  # fmt: skip
        for address in addresses:
            try:
                endpoint(address)
            except ValueError as error:
                yield key, str(error)
    for key, least, most in (
        ('tftp_workers', 0, 64), ('tftp_transfers', 1, 100_000), ('tftp_transfers_per_client', 1, 100_000),
    ):  # fmt: skip
        if not least <= getattr(settings.boot, key) <= most:
            yield f'boot.{key}', f'is not between {least} and {most}.'
    if settings.boot.tftp_largest_block and not 512 <= settings.boot.tftp_largest_block <= 65464:
        yield 'boot.tftp_largest_block', 'is neither 0 nor between 512 and 65464 bytes.'
    if settings.boot.base_url:
        yield from _url('boot.base_url', settings.boot.base_url)
    if settings.boot.tftp_server:
        yield from _address('boot.tftp_server', settings.boot.tftp_server)
    for number, entry in enumerate(settings.boot.advertise):
        yield from _network(f'boot.advertise[{number}].prefix', entry.prefix)
        yield from _url(f'boot.advertise[{number}].url', entry.url)
        if entry.tftp:
            yield from _address(f'boot.advertise[{number}].tftp', entry.tftp)
    for number, proxy in enumerate(settings.boot.trusted_proxies):
        yield from _network(f'boot.trusted_proxies[{number}]', proxy)
    yield from _boot_faults(settings.boot)
    if settings.manage.hook_url:
        yield from _url('manage.hook_url', settings.manage.hook_url)
    if not 1 <= settings.manage.hook_tolerance <= 86400:
        yield 'manage.hook_tolerance', 'is not between 1 and 86400 seconds.'
    try:
        clients.table(settings.dhcp.loaders)
    except ValueError as error:
        yield 'dhcp.loaders', f'{error}.'
    for name, loader in settings.dhcp.loaders.items():
        if loader and (not _LOADER.match(loader) or '..' in loader.split('/')):
            yield f'dhcp.loaders.{name}', f'"{loader}" is no file below the folder of the loaders.'
    if settings.dhcp.backend == 'kea':
        yield from _kea(settings.dhcp.kea)
    if settings.dhcp.backend == 'dnsmasq':
        yield from _dnsmasq(settings.dhcp.dnsmasq)
    yield from _dns_faults(settings.dns)
    for key in ('removed', 'changed'):
        if not 0 <= getattr(settings.safety, key) <= 1:
            yield f'safety.{key}', 'is a share: 0 to 1 (0.2 is a fifth).'


def _boot_faults(boot: 'Boot') -> Iterator[tuple[str, str]]:
    if boot.accel_redirect and not re.fullmatch(r'/[A-Za-z0-9._/-]+', boot.accel_redirect):
        yield 'boot.accel_redirect', f'"{boot.accel_redirect}" is no location of nginx, such as /substruct-files.'
    if boot.accel_redirect and not boot.trusted_proxies:
        yield 'boot.accel_redirect', 'needs boot.trusted_proxies: the addresses from which that nginx asks.'
    for key, least, most in (
        ('fetch_parallel', 1, 64), ('fetch_timeout', 1, 3600), ('keep_unreferenced', 0, 3650 * 86400),
        ('keep_free', 0, 1 << 50), ('revalidate', 1, 3650 * 86400),
    ):  # fmt: skip
        if not least <= getattr(boot, key) <= most:
            yield f'boot.{key}', f'is not between {least} and {most}.'
    for folder in boot.local_sources:
        if not folder.startswith('/'):
            yield 'boot.local_sources', f'"{folder}" is no absolute path.'


def _dnsmasq(dnsmasq: 'Dnsmasq') -> Iterator[tuple[str, str]]:
    for key in ('directory', 'config', 'pid_file'):
        named = getattr(dnsmasq, key)
        if not re.match(r'/[A-Za-z0-9._/-]+\Z', named):  # what dnsmasq reads without quotes
            yield f'dhcp.dnsmasq.{key}', f'"{named}" is no absolute path out of letters, digits, dots and hyphens.'
    for key in ('restart_interval', 'start_timeout'):
        if not 0 <= getattr(dnsmasq, key) <= 3600:
            yield f'dhcp.dnsmasq.{key}', 'is not between 0 and 3600 seconds.'


def _kea(kea: 'Kea') -> Iterator[tuple[str, str]]:
    if not any((kea.socket4, kea.socket6, kea.url4, kea.url6)):
        yield 'dhcp.kea.socket4', 'is missing, and socket6, url4 and url6 too: there is no Kea to talk to.'
    for family in '46':
        socket, url = getattr(kea, f'socket{family}'), getattr(kea, f'url{family}')
        base, output = getattr(kea, f'base{family}'), getattr(kea, f'output{family}')
        if socket and url:
            yield f'dhcp.kea.url{family}', f'dhcp.kea.socket{family} is set too; keep one of them.'
        if url:
            yield from _url(f'dhcp.kea.url{family}', url)
        for key, path in ((f'socket{family}', socket), (f'base{family}', base), (f'output{family}', output)):
            if path and not path.startswith('/'):
                yield f'dhcp.kea.{key}', f'"{path}" is no absolute path.'
        if base and base == output:
            yield f'dhcp.kea.output{family}', f'is the same file as base{family}, which Substruct never writes.'
        if (socket or url) and not base and not kea.interfaces:
            yield f'dhcp.kea.base{family}', 'is missing, and dhcp.kea.interfaces too: Kea would listen nowhere.'
    if kea.mode == 'database':
        parts = urlsplit(kea.database_url)
        if parts.scheme not in ('postgresql', 'mysql', 'mariadb'):
            yield 'dhcp.kea.database_url', 'must be postgresql://user@host/name or mysql://user@host/name.'
        elif parts.password:
            yield 'dhcp.kea.database_url', 'holds a password; name the secret in dhcp.kea.database_credential instead.'
    for prefix in kea.links:
        yield from _network('dhcp.kea.links', prefix)


def _dns_faults(dns: 'Dns') -> Iterator[tuple[str, str]]:
    for name, section in (('rfc2136', dns.rfc2136), ('powerdns', dns.powerdns)):
        if section.marker and not re.fullmatch(r'[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?', section.marker):
            yield f'dns.{name}.marker', f'"{section.marker}" is no label of a DNS name in lower case.'
    for name, seconds in (
        ('rfc2136.timeout', dns.rfc2136.timeout), ('zonefile.timeout', dns.zonefile.timeout),
        ('powerdns.timeout', dns.powerdns.timeout),
    ):  # fmt: skip
        if not 0 < seconds <= 3600:
            yield f'dns.{name}', 'is not between 0 and 3600 seconds.'
    if dns.zonefile.directory and not dns.zonefile.directory.startswith('/'):
        yield 'dns.zonefile.directory', f'"{dns.zonefile.directory}" is no absolute path.'
    if not re.fullmatch(r'[A-Za-z0-9._/+@-]*', dns.zonefile.directory):
        yield 'dns.zonefile.directory', 'has characters in it that zone files cannot name; use A-Z, a-z, 0-9, ._/+@-.'
    if dns.powerdns.url:
        yield from _url('dns.powerdns.url', dns.powerdns.url)
    for key in ('rfc2136.server', 'zonefile.server'):
        section_name, field_name = key.split('.')
        value: str = getattr(getattr(dns, section_name), field_name)
        if re.search(r'\s', value):
            yield f'dns.{key}', f'"{value}" is no server: write host, host:port or [address]:port.'


def endpoint(text: str) -> tuple[str, int]:
    """(host, port) of "10.0.0.2:69", "[::1]:69" or ":69"; raises ValueError."""
    host, colon, port = text.rpartition(':')
    if host.startswith('[') and host.endswith(']'):
        host = host[1:-1]
    elif ':' in host:
        raise ValueError(f'"{text}": put an IPv6 address into brackets, as in [::1]:69.')
    if not colon or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError(f'"{text}" is no address with port, as in 0.0.0.0:69 or [::]:69.')
    if host:
        try:
            ip_address(host)
        except ValueError:
            raise ValueError(f'"{text}": "{host}" is no IP address.') from None
    return host or '::', int(port)


def _url(key: str, value: str) -> Iterator[tuple[str, str]]:
    parts = urlsplit(value)
    try:
        parts.port  # noqa: B018  (reading it checks the number)
    except ValueError:
        parts = urlsplit('')
    if parts.scheme not in ('http', 'https') or not parts.hostname or re.search(r'[\s\x00-\x1f\x7f]', value):
        yield key, f'"{value}" is no URL; write http:// or https://, a host, and a port where it is not the usual one.'
    elif parts.username or parts.password:
        yield key, 'holds a user name or password; keep them out of URLs.'


def _address(key: str, value: str) -> Iterator[tuple[str, str]]:
    try:
        ip_address(value)
    except ValueError:
        yield key, f'"{value}" is no IP address.'


def _network(key: str, value: str) -> Iterator[tuple[str, str]]:
    try:
        ip_network(value)
    except ValueError as error:
        yield key, f'"{value}" is no prefix: {error}.'
