"""The settings: one TOML file and the environment, checked as a whole when the sidecar starts.

Every key can also be set by a variable SUBSTRUCT_<SECTION>_<KEY> (SUBSTRUCT_NETBOX_URL, SUBSTRUCT_DHCP_KEA_SOCKET4),
which wins over the file; its value is text, a number, true or false, or TOML for anything else.  An error names the
file, the key and what to do.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from .dhcp import clients

PREFIX = 'SUBSTRUCT_'
DEFAULT_FILE = Path('/etc/substruct/sidecar.toml')
# It stands in DHCP packets and URLs as it is.
_LOADER = re.compile(r'[A-Za-z0-9][A-Za-z0-9._/-]{0,99}\Z')


class SettingsError(Exception):
    """The settings cannot be used; the message names where, which key, and the remedy."""


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all sections share."""


class NetBox(Section, frozen=True, kw_only=True):
    """How NetBox is reached.  The token comes from a file (`token_file`) or SUBSTRUCT_NETBOX_TOKEN, never from here."""

    url: str
    boot_server: str
    token: str = ''
    token_file: str = ''
    ca_file: str = ''
    verify_tls: bool = True
    timeout: float = 60.0
    poll_interval: float = 30.0
    heartbeat_interval: float = 30.0


class Paths(Section, frozen=True, kw_only=True):
    """`state` is kept over restarts; `run` is not.  `files` holds boot files and `prospector` the discovery
    image, <architecture>/{vmlinuz,initrd.img} (default: below `state`)."""

    state: str = '/var/lib/substruct'
    run: str = '/run/substruct'
    files: str = ''
    loaders: str = ''
    prospector: str = ''


class Advertise(Section, frozen=True, kw_only=True):
    """Machines with an address in `prefix` are told `url`, and `tftp` (default: that in `url`) as next-server."""

    prefix: str
    url: str
    tftp: str = ''


class Boot(Section, frozen=True, kw_only=True):
    """What machines talk to.  Without `base_url` and `advertise`, the base URL that NetBox has for the boot server.

    `trusted_proxies` are prefixes whose X-Forwarded-For counts; `accel_redirect` is the internal location of an nginx
    among them that sends the boot files itself.  Boot files are fetched `fetch_parallel` at a time and given up after
    `fetch_timeout` seconds of silence; what nothing refers to goes after `keep_unreferenced` seconds; at least
    `keep_free` bytes of the disk stay free.  Files without a SHA-256 are looked at again after `revalidate` seconds.
    file:// URLs are read below `local_sources` only.

    TFTP: `tftp_single_port` answers from the port that was asked (for address translation and containers);
    `tftp_workers` is the number of processes, 0 for one for each core up to four; `tftp_transfers` how many transfers
    there may be at once, and for one client address; `tftp_largest_block` bounds blksize where a tunnel on the way is
    narrower than it says (0: the MTU that the kernel knows).
    """

    http: list[str] = msgspec.field(default_factory=lambda: ['[::]:8080'])
    tftp: list[str] = msgspec.field(default_factory=lambda: ['[::]:69'])
    base_url: str = ''
    tftp_server: str = ''
    advertise: list[Advertise] = []
    trusted_proxies: list[str] = []
    accel_redirect: str = ''
    tftp_single_port: bool = False
    tftp_workers: int = 0
    tftp_transfers: int = 4096
    tftp_transfers_per_client: int = 256
    tftp_largest_block: int = 0
    fetch_parallel: int = 2
    fetch_timeout: float = 60.0
    keep_unreferenced: float = 86400.0
    keep_free: int = 512 << 20
    revalidate: float = 3600.0
    local_sources: list[str] = []


class Manage(Section, frozen=True, kw_only=True):
    """Where NetBox's webhooks arrive and where /healthz, /metrics and /status are read.

    `hook_url` is how NetBox reaches it; empty: no webhooks, and changes arrive with the poll.  A webhook that is more
    than `hook_tolerance` seconds old, or in the future, is refused.
    """

    listen: list[str] = msgspec.field(default_factory=lambda: ['127.0.0.1:8081'])
    hook_url: str = ''
    hook_tolerance: float = 300.0


class Kea(Section, frozen=True, kw_only=True):
    """Kea.  `mode` config: the whole configuration through the control channel; database: hosts in Kea's own tables.

    Each daemon that has a `socket` (its own Unix socket) or `url` (its control agent, or an HTTP control socket; with
    the secret named in `credential`, "user:password") is kept.  `base4` and `base6` are files with the hand-written
    part of the configuration; Substruct adds its subnets, classes and options and never writes there.  `output4` and
    `output6` are what Kea is to be started with (default: kea-dhcp4.conf and kea-dhcp6.conf in <state>/kea).  Without a
    base, `interfaces` are served.  `database_url` is postgresql://user@host/name or mysql://…; the password is the
    secret of that name in `database_credential`.  `links` names the interface of an IPv6 prefix whose machines are on
    Kea's own link (default: those of this host).  `known_everywhere`: a machine is known in every subnet, also where
    it has no address; without, there are half as many reservations.
    """

    mode: Literal['config', 'database'] = 'config'
    socket4: str = ''
    socket6: str = ''
    url4: str = ''
    url6: str = ''
    credential: str = ''
    ca_file: str = ''
    base4: str = ''
    base6: str = ''
    binary4: str = 'kea-dhcp4'
    binary6: str = 'kea-dhcp6'
    output4: str = ''
    output6: str = ''
    database_url: str = ''
    database_credential: str = ''
    interfaces: list[str] = []
    links: dict[str, str] = {}
    known_everywhere: bool = True


class Isc(Section, frozen=True, kw_only=True):
    """ISC dhcpd.  `config4` and `config6` are the main files, each of which includes one of Substruct's; `restart4` and
    `restart6` the commands that restart it, at most once in `restart_interval` seconds; `pid_file4` and `pid_file6` say
    whether it runs.  `omapi_credential` is the secret of the key in Base64; without `omapi_port` every change restarts.
    """

    binary: str = 'dhcpd'
    config4: str = ''
    config6: str = ''
    directory: str = '/etc/dhcp/substruct'
    omapi_host: str = '127.0.0.1'
    omapi_port: int = 0
    omapi_key_name: str = ''
    omapi_credential: str = ''
    omapi_algorithm: Literal['hmac-md5', 'hmac-sha1', 'hmac-sha256', 'hmac-sha384', 'hmac-sha512'] = 'hmac-sha256'
    restart4: list[str] = []
    restart6: list[str] = []
    pid_file4: str = ''
    pid_file6: str = ''
    restart_interval: float = 10.0


class Dnsmasq(Section, frozen=True, kw_only=True):
    """dnsmasq.  `directory` holds Substruct's files, `config` is the main file, which reads them, and `pid_file` is for
    signals; `proxy` beside another DHCP server.

    `restart` is the command that restarts it, `reload` one that sends it SIGHUP (empty: the sidecar sends it itself).
    After a restart it must be there within `start_timeout` seconds; two are `restart_interval` seconds apart.
    `sighup`: whether it bears SIGHUP with tagged hosts, which versions 2.86 to 2.90 do not (auto: by its version).
    """

    binary: str = 'dnsmasq'
    directory: str = '/etc/dnsmasq.d/substruct'
    config: str = '/etc/dnsmasq.conf'
    pid_file: str = '/run/dnsmasq/dnsmasq.pid'
    restart: list[str] = []
    reload: list[str] = []
    sighup: Literal['auto', 'yes', 'no'] = 'auto'
    proxy: bool = False
    restart_interval: float = 10.0
    start_timeout: float = 30.0


class Dhcp(Section, frozen=True, kw_only=True):
    """`loaders` names other loaders for classes of clients (see dhcp/clients.py): {"uefi-x64" = "shimx64.efi"}; with ''
    that class is given nothing."""

    backend: Literal['none', 'kea', 'isc', 'dnsmasq'] = 'none'
    loaders: dict[str, str] = {}
    kea: Kea = Kea()
    isc: Isc = Isc()
    dnsmasq: Dnsmasq = Dnsmasq()


class Rfc2136(Section, frozen=True, kw_only=True):
    """Dynamic updates.  `server` is host or host:port, for zones that name none; keys are secrets by name.

    `marker` is the name, in each zone, of the TXT record that names our last update (empty: none, for servers that do
    not allow it).  `transfer` is whether whole zones are fetched (AXFR) to find what others have removed, at most every
    `transfer_interval` seconds; names are asked for in any case, a few each minute.
    """

    server: str = ''
    credential: str = ''
    timeout: float = 5.0
    marker: str = '_substruct'
    transfer: bool = True
    transfer_interval: float = 3600.0


class Zonefile(Section, frozen=True, kw_only=True):
    """Zone files.  `check` is run with the zone's name and the new file, `reload` with the zone's name.

    `server` is the name server that loads them, host or host:port, for zones that name none: it is asked which serial
    number it serves (empty: nobody is asked, and the exit status of `reload` is believed).
    """

    directory: str = ''
    check: list[str] = msgspec.field(default_factory=lambda: ['named-checkzone', '-k', 'fail', '-i', 'local'])
    reload: list[str] = []
    server: str = ''
    timeout: float = 60.0
    patience: float = 15.0


class Powerdns(Section, frozen=True, kw_only=True):
    """PowerDNS by its HTTP API.  `create_zones` is whether zones that it lacks are made, of the kind `kind`."""

    url: str = ''
    server_id: str = 'localhost'
    credential: str = ''
    timeout: float = 10.0
    marker: str = '_substruct'
    create_zones: bool = False
    kind: Literal['Native', 'Master'] = 'Native'


class Dns(Section, frozen=True, kw_only=True):
    """`enabled` is whether this sidecar keeps the zones that NetBox gives it; how, each zone says (update method).

    `adopt` names zones in which records that are there exactly as wanted, though not made by Substruct, become its own.
    `forget` names servers (as zones or settings have them) that are gone for good: what was made there is given up.
    """

    enabled: bool = False
    adopt: list[str] = []
    forget: list[str] = []
    rfc2136: Rfc2136 = Rfc2136()
    zonefile: Zonefile = Zonefile()
    powerdns: Powerdns = Powerdns()


class Secrets(Section, frozen=True, kw_only=True):
    """`directory` holds one file for each secret, by its name; SUBSTRUCT_SECRET_<NAME> wins over it."""

    directory: str = '/etc/substruct/secrets'


class Safety(Section, frozen=True, kw_only=True):
    """How much of what exists may be removed or changed without a person's word: shares, and how many always may."""

    removed: float = 0.2
    changed: float = 0.5
    floor: int = 10


class Log(Section, frozen=True, kw_only=True):
    level: Literal['debug', 'info', 'warning', 'error'] = 'info'
    format: Literal['json', 'text'] = 'text'


class Settings(Section, frozen=True, kw_only=True):
    netbox: NetBox
    paths: Paths = Paths()
    boot: Boot = Boot()
    manage: Manage = Manage()
    dhcp: Dhcp = Dhcp()
    dns: Dns = Dns()
    secrets: Secrets = Secrets()
    safety: Safety = Safety()
    log: Log = Log()

    @property
    def state_folder(self) -> Path:
        return Path(self.paths.state)

    @property
    def run_folder(self) -> Path:
        return Path(self.paths.run)

    @property
    def prospector_folder(self) -> Path:
        return Path(self.paths.prospector) if self.paths.prospector else self.state_folder / 'prospector'

    @property
    def files_folder(self) -> Path:
        return Path(self.paths.files) if self.paths.files else self.state_folder / 'files'


def load(path: Path | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read and check the settings.  Raises SettingsError, with every fault that was found.

    `path` defaults to SUBSTRUCT_CONFIG or /etc/substruct/sidecar.toml; a default that is not there is no error as long
    as the environment has what is needed.
    """
    named = path or (Path(environment['SUBSTRUCT_CONFIG']) if environment.get('SUBSTRUCT_CONFIG') else None)
    source = named or DEFAULT_FILE
    raw: dict[str, Any] = {}
    if named is not None or source.exists():
        try:
            raw = tomllib.loads(source.read_text('utf-8'))
        except OSError as error:
            raise SettingsError(f'{source}: cannot be read ({error.strerror}). Name another with --config.') from error
        except UnicodeDecodeError as error:
            raise SettingsError(f'{source}: is not UTF-8 text (byte {error.start}).') from error
        except tomllib.TOMLDecodeError as error:
            raise SettingsError(f'{source}: is not TOML: {error}.') from error
    origins: dict[str, str] = {}
    for name, value in environment.items():
        if keys := _keys(name):
            target = raw
            for key in keys[:-1]:
                target = target.setdefault(key, {})
                if not isinstance(target, dict):
                    raise SettingsError(f'{source}: "{key}" must be a section, [{key}].')
            target[keys[-1]] = _value(value, keys)
            origins['.'.join(keys)] = name
    if 'netbox' not in raw:
        raise SettingsError(f'{source}: there is no [netbox] section; it needs at least url and boot_server.')
    try:
        settings = msgspec.convert(raw, Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(_explain(str(error), source, origins)) from error
    faults = list(_faults(settings))
    if faults:
        raise SettingsError('\n'.join(f'{origins.get(key, source)}: {key}: {text}' for key, text in faults))
    return settings


def _fields(type_: type[Section]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for field in msgspec.structs.fields(type_):
        if isinstance(field.type, type) and issubclass(field.type, Section):
            for path, found in _fields(field.type):
                yield (field.name, *path), found
        else:
            yield (field.name,), field.type


_VARIABLES = {PREFIX + '_'.join(path).upper(): (path, type_) for path, type_ in _fields(Settings)}


def _keys(variable: str) -> tuple[str, ...] | None:
    found = _VARIABLES.get(variable)
    return found[0] if found else None


def _value(text: str, keys: tuple[str, ...]) -> Any:
    wanted = _VARIABLES[PREFIX + '_'.join(keys).upper()][1]
    if wanted is str or not text:
        return text
    try:
        return tomllib.loads(f'value = {text}')['value']
    except tomllib.TOMLDecodeError:
        return text


def _explain(error: str, source: Path, origins: Mapping[str, str]) -> str:
    """msgspec's words with the place in the file's own terms."""
    match = re.search(r' - at `\$\.?(.*?)`$', error)
    place = match[1] if match else ''
    words = error[: match.start()] if match else error
    if unknown := re.search(r'unknown field `(.*?)`', words):
        key = f'{place}.{unknown[1]}' if place else unknown[1]
        return f'{source}: {key}: there is no such setting. Look at docs/sidecar.md, or for a slip of the pen.'
    if missing := re.search(r'missing required field `(.*?)`', words):
        key = f'{place}.{missing[1]}' if place else missing[1]
        return f'{source}: {key}: is missing. Set it there, or as {PREFIX}{key.replace(".", "_").upper()}.'
    return f'{origins.get(place, source)}: {place}: {words}.'


def _faults(settings: Settings) -> Iterator[tuple[str, str]]:
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


def _boot_faults(boot: Boot) -> Iterator[tuple[str, str]]:
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


def _dnsmasq(dnsmasq: Dnsmasq) -> Iterator[tuple[str, str]]:
    for key in ('directory', 'config', 'pid_file'):
        named = getattr(dnsmasq, key)
        if not re.match(r'/[A-Za-z0-9._/-]+\Z', named):  # what dnsmasq reads without quotes
            yield f'dhcp.dnsmasq.{key}', f'"{named}" is no absolute path out of letters, digits, dots and hyphens.'
    for key in ('restart_interval', 'start_timeout'):
        if not 0 <= getattr(dnsmasq, key) <= 3600:
            yield f'dhcp.dnsmasq.{key}', 'is not between 0 and 3600 seconds.'


def _kea(kea: Kea) -> Iterator[tuple[str, str]]:
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


def _dns_faults(dns: Dns) -> Iterator[tuple[str, str]]:
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
