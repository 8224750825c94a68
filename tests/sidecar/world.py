"""A small world of desired state for tests: objects of the feed, put into a real State on disk as the feed would.

    world = World(tmp_path)
    lan = world.add_subnet('10.60.0.0/24', gateway='10.60.0.1')
    srv = world.add_machine('srv-1', mac='02:00:00:00:00:01', address='10.60.0.11/24')
    with world.view() as view: ...            # the first time a snapshot, then deltas with what changed since
    srv = world.change(srv, hostname='srv-one')
    changed = world.changes()                 # what changed since the last time it was asked

Objects are frozen structs of `substruct_sidecar.desired`; `change` gives a new one.
"""

import time
from collections.abc import Iterable, Sequence
from ipaddress import ip_interface, ip_network
from pathlib import Path
from typing import Any

import msgspec

from substruct_sidecar import desired
from substruct_sidecar.claims import token_key
from substruct_sidecar.desired import (
    Address,
    Artifact,
    Boot,
    BootFile,
    BootImage,
    BootServer,
    Build,
    End,
    Gone,
    Header,
    Interface,
    Line,
    Machine,
    Object,
    Record,
    Script,
    Subnet,
    Task,
    Zone,
)
from substruct_sidecar.plan import Limits
from substruct_sidecar.state import Changed, State, View

BASE_URL = 'http://10.60.0.1:8080'


class World:
    """Desired state.  Nothing reaches the state on disk before `sync`, which `view` and `changes` call."""

    def __init__(self, folder: Path, *, base_url: str = BASE_URL) -> None:
        self.state = State(folder / 'state.sqlite')
        self.boot_server = BootServer(id=5, name='boot-ber', status='active', base_url=base_url)
        self.objects: dict[tuple[str, int], Object] = {}
        self._told: dict[tuple[str, int], Object] | None = None
        self._told_server = self.boot_server
        self._asked = 0
        self._last: dict[str, int] = {}
        self._cursor = 0

    def close(self) -> None:
        self.state.close()

    # What there is

    def add_subnet(self, prefix: str, **values: Any) -> Subnet:
        """A prefix with DHCP on and discovery off, without gateway, name servers, domain and lease range."""
        values = {
            'vrf': None, 'vlan': None, 'site': 'Berlin', 'gateway': None, 'name_servers': [], 'ntp_servers': [],
            'domain': None, 'lease_range': None, 'lease_time': 3600, 'dhcp_options': {}, 'dhcp_enabled': True,
            'discovery_enabled': False, **values,
        }  # fmt: skip
        return self.add(Subnet(id=self._next('subnet', values), prefix=prefix, **values))

    def add_zone(self, name: str, **values: Any) -> Zone:
        values = {
            'reverse': name.endswith('.arpa'), 'update_method': 'rfc2136', 'server': None, 'credential': None,
            'name_servers': ['ns1.example.com'], 'ttl': 3600, 'mname': None, 'rname': None, 'refresh': 3600,
            'retry': 600, 'expire': 604800, 'minimum': 300, **values,
        }  # fmt: skip
        return self.add(Zone(id=self._next('zone', values), name=name, **values))

    def add_record(self, name: str, **values: Any) -> Record:
        """`address` with `forward_zone` and `reverse_zone`, or `type`, `value` and `forward_zone` (ids of zones)."""
        return self.add(Record(id=self._next('record', values), name=name, **values))

    def add_boot_image(self, name: str, files: Iterable[BootFile] = (), **values: Any) -> BootImage:
        values = {'architecture': 'x86_64', 'method': 'installer', **values}
        return self.add(BootImage(id=self._next('boot-image', values), name=name, files=list(files), **values))

    def add_script(self, name: str, content: str, variant: str = '', **values: Any) -> Script:
        return self.add(Script(id=self._next('script', values), name=name, variant=variant, content=content, **values))

    def add_task(self, task: str, **values: Any) -> Task:
        values = {
            'state': 'pending', 'machine': None, 'build': None, 'parameters': {}, 'not_before': None, 'attempts': 0,
            **values,
        }  # fmt: skip
        return self.add(Task(id=self._next('task', values), task=task, **values))

    def add_machine(
        self,
        name: str,
        *,
        mac: str | Sequence[str] = (),
        address: str | Sequence[str] = (),
        interfaces: Sequence[Interface] = (),
        boot: str = 'build',
        local_method: str | None = None,
        **values: Any,
    ) -> Machine:
        """A machine with `interfaces`, or with one interface out of `mac` and `address` (with prefix lengths).

        `boot` is the action of its Boot; with "build" it has a build that stands at its beginning.
        """
        number = self._next('machine', values)
        if not interfaces:
            interfaces = [self.interface('eth0', mac=mac, address=address)]
        macs = [found for one in interfaces for found in one.macs]
        build = Build(
            id=self._next('build', {}), state='pending', profile='p', boot_image=None, token=f'token-{number}',
            artifacts=[],
        )  # fmt: skip
        values = {
            'hostname': name.partition('.')[0], 'fqdn': name, 'device': number, 'virtual_machine': None,
            'site': 'Berlin', 'state': 'building' if boot == 'build' else 'built', 'uuid': None, 'serial': None,
            'architecture': 'x86_64', 'firmware': None, 'boot_mac': macs[0] if macs else None,
            'boot': Boot(action=boot, reason='It is so in this test.', local_method=local_method),  # type: ignore[arg-type]
            'build': build if boot == 'build' else None, 'bmc': None, **values,
        }  # fmt: skip
        return self.add(Machine(id=number, name=name, interfaces=list(interfaces), **values))

    def interface(
        self, name: str = 'eth0', *, mac: str | Sequence[str] = (), address: str | Sequence[str] = (), **values: Any
    ) -> Interface:
        """An interface for `add_machine`.  Addresses are put into the smallest subnet that holds them."""
        values = {
            'id': self._next('interface', values), 'type': '1000base-t', 'enabled': True, 'mgmt_only': False,
            'mtu': None, 'lag': None, 'parent': None, 'bridge': None, 'mode': None, 'untagged_vlan': None,
            'tagged_vlans': [], **values,
        }  # fmt: skip
        addresses = [self.address(one) for one in _several(address)]
        return Interface(name=name, macs=_several(mac), addresses=addresses, **values)

    def address(self, address: str, **values: Any) -> Address:
        """An address in the smallest subnet that holds it, null where there is none."""
        values = {'dns_name': None, 'vrf': None, 'primary': True, **values}
        if 'subnet' not in values:
            values['subnet'] = self._subnet_of(address, values['vrf'])
        return Address(address=address, **values)

    def build(self, machine: Machine, **values: Any) -> Build:
        """A build for a machine (for `change(machine, build=…)`), with an id of its own."""
        number = self._next('build', values)
        values = {
            'state': 'pending', 'profile': 'p', 'boot_image': None, 'token': f'token-of-{machine.id}-{number}',
            'artifacts': [], **values,
        }  # fmt: skip
        return Build(id=number, **values)

    def add[T: Object](self, line: T) -> T:
        """Any line of the feed, as it is."""
        self.objects[self._key(line)] = line
        return line

    def change[T: Object](self, line: T, **values: Any) -> T:
        """The object with other values, as it now stands in the world.

        Only `values` are laid over what the world has, so an older copy of the object may be given."""
        current: T = self.objects[self._key(line)]  # type: ignore[assignment]
        return self.add(msgspec.structs.replace(current, **values))

    def boots(self, machine: Machine, action: str, local_method: str | None = None) -> Machine:
        """Change what a machine boots."""
        boot = Boot(action=action, reason='It is so in this test.', local_method=local_method)  # type: ignore[arg-type]
        return self.change(machine, boot=boot)

    def remove(self, line: Object) -> None:
        del self.objects[self._key(line)]

    def clear(self) -> None:
        """NetBox suddenly shows nothing at all."""
        self.objects.clear()

    # How it is told

    def lines(self) -> list[bytes]:
        """The snapshot as the feed would send it."""
        objects = list(self.objects.values())
        return [self._encoded(line) for line in (self._header('snapshot'), *objects, End(lines=len(objects)))]

    def sync(self, *, snapshot: bool = False, limits: Limits | None = None) -> None:
        """Feed what is new: a snapshot the first time or if asked, else a delta."""
        if self._told == self.objects and self._told_server == self.boot_server and not snapshot:
            return
        mode = 'snapshot' if snapshot or self._told is None else 'delta'
        told = {} if self._told is None or mode == 'snapshot' else self._told
        order = {kind: place for place, kind in enumerate(desired.KINDS)}
        new = [(key, line) for key, line in self.objects.items() if told.get(key) is not line]
        gone = [Gone(what=kind, id=number) for kind, number in told if (kind, number) not in self.objects]  # type: ignore[arg-type]
        header = self._header(mode)
        # Through bytes, as it would come: what cannot be said in the feed cannot be in a test.
        header = msgspec.json.decode(self._encoded(header), type=Header)
        with self.state.intake(header, time.time(), limits=limits) as intake:
            for (kind, _), line in sorted(new, key=lambda found: (order[found[0][0]], found[0][1])):
                raw = self._encoded(line)
                intake.line(msgspec.json.decode(raw, type=desired.KINDS[kind]), raw)  # type: ignore[arg-type]
            for tombstone in gone:
                intake.gone(tombstone)
            intake.end(End(lines=len(new) + len(gone)))
        self._told, self._told_server = dict(self.objects), self.boot_server

    def view(self, finished: Iterable[Machine] = ()) -> View:
        """The state as it is now, for `with`.  `finished`: machines whose builds have ended at this sidecar, although
        NetBox does not know it yet."""
        self.sync()
        ended = [machine.build for machine in finished]
        return self.state.view(frozenset(token_key(build.token) for build in ended if build is not None))

    def changes(self) -> Changed:
        """What has changed since this was asked the last time (the first time: everything)."""
        self.sync()
        with self.state.view() as view:
            found = view.changed(self._asked)
        self._asked = found.until
        return found

    def _header(self, mode: str) -> Header:
        self._cursor += 1
        return Header(
            protocol=desired.PROTOCOL,
            mode=mode,  # type: ignore[arg-type]
            cursor=f'test.{self._cursor}',
            boot_server=self.boot_server,
            generated='2026-11-21T12:48:05+00:00',
        )

    def _next(self, kind: str, values: dict[str, Any]) -> int:
        """An id of its own for each kind, or that in `values`, which is taken out of them."""
        given = values.pop('id', None)
        number = self._last.get(kind, 0) + 1 if given is None else int(given)
        self._last[kind] = max(number, self._last.get(kind, 0))
        return number

    def _subnet_of(self, address: str, vrf: str | None) -> int | None:
        found = ip_interface(address).ip
        holding = [
            (ip_network(line.prefix).prefixlen, line.id)
            for line in self.objects.values()
            if isinstance(line, Subnet) and line.vrf == vrf and found in ip_network(line.prefix)
        ]
        return max(holding)[1] if holding else None

    @staticmethod
    def _encoded(line: Line) -> bytes:
        return msgspec.json.encode(line)

    @staticmethod
    def _key(line: Object) -> tuple[str, int]:
        return str(line.__struct_config__.tag), line.id


def artifact(number: int, kind: str, name: str, sha256: str) -> Artifact:
    return Artifact(id=number, kind=kind, name=name, sha256=sha256)


def _several(value: str | Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
