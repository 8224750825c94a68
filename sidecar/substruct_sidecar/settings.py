"""The settings: one TOML file and the environment, checked as a whole when the sidecar starts.

Every key can also be set by a variable SUBSTRUCT_<SECTION>_<KEY> (SUBSTRUCT_NETBOX_URL, SUBSTRUCT_DHCP_KEA_SOCKET4),
which wins over the file; its value is text, a number, true or false, or TOML for anything else.  An error names the
file, the key and what to do.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from .settings_checks import faults

PREFIX = 'SUBSTRUCT_'
DEFAULT_FILE = Path('/etc/substruct/sidecar.toml')


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
    if found := list(faults(settings)):
        raise SettingsError('\n'.join(f'{origins.get(key, source)}: {key}: {text}' for key, text in found))
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
