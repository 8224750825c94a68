"""The rack as a whole: what runs in it and in which order it comes up, the machines in it, and how all of it goes away.

As in the rest of the lab, every step looks at what is there and does what is missing.
"""

import contextlib
import functools
import json
import random
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lab import prospector as own_prospector
from lab.confined import PATH
from lab.errors import LabError
from lab.files import write_atomically
from lab.places import TREE, Places, private_folder
from lab.processes import Identity, Service, Supervisor
from lab.rack import qemu, seed, servers, sidecar
from lab.rack.machine import Machine
from lab.rack.namespace import Namespace, is_root, lacks
from lab.rack.servers import DEFAULT, KINDS, Kind
from lab.rack.spec import Spec, decode, encode

if TYPE_CHECKING:
    from lab.stack import Lab, ServiceStatus

PREFIX = 'rack-'
HOLDER = 'rack-namespace'
READY = 'namespace'  # where it says that it is
POLL = 5.0
NETBOX_PATIENCE = 120.0


@dataclass(frozen=True)
class Options:
    """What was chosen when it was brought up; kept until it is taken down."""

    dhcp: Kind
    manage: int
    boot: int
    prospector: str = ''
    poll: float = POLL
    bare: bool = False

    @classmethod
    def read(cls, path: Path) -> 'Options | None':
        try:
            return cls(**json.loads(path.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None


class Rack:
    """The rack of a lab.  With `owner`, everything in it ends when that process does."""

    def __init__(self, lab: 'Lab', owner: Identity | None = None) -> None:
        self.lab, self.owner = lab, owner
        self.places = lab.places
        self.folder = folder_of(self.places)
        self.sockets = sockets_of(self.places)
        self.supervisor = Supervisor(self.places)

    # ------------------------------------------------------------------ what there is

    @property
    def options(self) -> Options:
        found = Options.read(self.folder / 'options.json')
        if found is None:
            raise LabError('there is no rack; run  bin/lab rack up')
        return found

    @property
    def exists(self) -> bool:
        return (self.folder / 'options.json').exists()

    @property
    def namespace(self) -> Namespace:
        record = self.supervisor.record(HOLDER)
        if record is None:
            raise LabError('the rack is not up; run  bin/lab rack up')
        return Namespace(record.identity.pid)

    @property
    def netbox(self) -> Any:
        """pynetbox, as the administrator."""
        import pynetbox

        api = pynetbox.api(self.lab.url.rstrip('/'), token=self.lab.accounts.token)
        # As it comes, it would wait for ever.
        api.http_session.request = functools.partial(api.http_session.request, timeout=NETBOX_PATIENCE)
        return api

    @property
    def doors(self) -> sidecar.Doors:
        options = self.options
        return sidecar.Doors(self.lab.port or 0, options.manage, options.boot)

    @property
    def settings(self) -> Path:
        """The sidecar's."""
        return self.folder / 'sidecar' / 'sidecar.toml'

    @property
    def files(self) -> Path:
        """Boot files that stand here can be named in NetBox as file:// URLs."""
        return self.folder / 'files'

    @property
    def prospector(self) -> Path:
        """Where the sidecar looks for the discovery image."""
        return Path(self.options.prospector or self.folder / 'prospector')

    def log(self, name: str) -> Path:
        """Of `sidecar`, `dhcp`, `dns`, or a machine (`machine-<name>`)."""
        return self.supervisor.log(PREFIX + name)

    # ------------------------------------------------------------------ up

    def up(
        self, dhcp: str = '', prospector: Path | Literal[False] | None = None, poll: float = 0.0, bare: bool = False
    ) -> None:
        """Raises LabError.  What is not said stays as it was, or is Kea and five seconds.

        `prospector`: the folder of another one than the lab's own, which is built if it is not there; False: none, so
        that unknown machines boot nothing.
        `bare`: only the namespace and the machines, without NetBox, servers and sidecar.
        """
        kind = next((kind for kind in KINDS if kind == dhcp), None)
        if dhcp and kind is None:
            raise LabError(f'there is no DHCP server "{dhcp}" for the rack; there are {", ".join(KINDS)}')
        if missing := lacks(kind or DEFAULT):
            raise LabError('the virtual rack cannot be here; it needs\n  - ' + '\n  - '.join(missing))
        if bare:
            self.places.make()
            prospector = False
        elif not self.places.settings.exists() or self.lab.answers() != 200:
            self.lab.up()
        if prospector is None:
            with self.lab.progress.step('the prospector', 'moments; when it is built, two minutes'):
                prospector = own_prospector.ensure()
        with self._alone():
            for folder in (self.folder, self.folder / 'machines', self.files, self.sockets):
                private_folder(folder)
            self._choose(kind, prospector, poll, bare)
            with self.lab.progress.step('the virtual rack', '5-10 s'):
                self._up()

    def _choose(self, dhcp: Kind | None, prospector: Path | Literal[False], poll: float, bare: bool) -> None:
        kept = Options.read(self.folder / 'options.json') or Options(DEFAULT, _quiet_port(), _quiet_port())
        if dhcp and dhcp != kept.dhcp:
            shutil.rmtree(self.folder / 'dhcp', ignore_errors=True)  # another server's leases
            kept = replace(kept, dhcp=dhcp)
        if self.supervisor.record(f'{PREFIX}doorway-outside') is None:
            # After a restart of this machine, say, somebody else may have them.
            kept = replace(kept, manage=_free_or_other(kept.manage), boot=_free_or_other(kept.boot))
        image = str(prospector.absolute()) if prospector else ''
        kept = replace(kept, prospector=image, poll=poll or kept.poll, bare=bare)
        write_atomically(self.folder / 'options.json', json.dumps(asdict(kept), indent=2) + '\n')

    def _up(self) -> None:
        self.supervisor.up(self._holder())
        if not self.options.bare:
            self._serve()
        for folder in sorted((self.folder / 'machines').iterdir()):
            self._mind(decode((folder / 'spec.json').read_bytes()))

    def _serve(self) -> None:
        """The servers, what NetBox has to know of them, and the sidecar."""
        own = self.folder / 'sidecar'
        secret_folder = own / 'secrets'
        dhcp = servers.dhcp(self.options.dhcp, self.folder / 'dhcp', self.sockets, self.namespace, secret_folder)
        dns = servers.dns(self.folder / 'dns', self.namespace, secret_folder)
        with ThreadPoolExecutor(max_workers=5) as pool:
            started = [pool.submit(self.supervisor.up, service) for service in (*self._doorways(), dns.service)]
            started.append(pool.submit(self.supervisor.up, dhcp.service))
            seed.network(self.netbox)
            token = seed.account(self.netbox, own / 'token.json')
            for each in started:
                each.result()
        sidecar.write(own, self.sockets, self.doors, token, [dhcp, dns], self.prospector, self.files, self.options.poll)
        self.start_sidecar()

    def _holder(self) -> Service:
        ready = self.folder / READY
        owner = ['--owner', str(self.owner.pid), str(self.owner.started)] if self.owner else []
        return Service(
            name=HOLDER,
            command=[
                sys.executable, '-m', 'lab.rack.holder', str(ready), *([] if is_root() else ['--user']), *owner,
            ],
            environment={'PYTHONPATH': str(TREE), 'PATH': PATH},
            ready=lambda identity: _says(ready, identity),
            patience=15.0,
            # What was in the last one cannot be in this one.
            before=lambda: end_all(self.places, self.supervisor),
        )  # fmt: skip

    def _doorways(self) -> list[Service]:
        netbox, manage, boot = (f'unix:{self.sockets / name}' for name in ('netbox', 'manage', 'boot'))
        doors = self.doors
        inside = [
            f'tcp:127.0.0.1:{doors.netbox}', netbox, manage, f'tcp:{sidecar.MANAGE}', boot, f'tcp:{sidecar.BOOT}',
        ]  # fmt: skip
        outside = [
            netbox, f'tcp:127.0.0.1:{doors.netbox}', f'tcp:127.0.0.1:{doors.manage}', manage,
            f'tcp:127.0.0.1:{doors.boot}', boot,
        ]  # fmt: skip

        def doorway(name: str, ends: list[str], enter: bool) -> Service:
            ready = self.folder / name
            words = [sys.executable, '-m', 'lab.rack.doorway', str(ready), str(self.namespace.pid), *ends]
            return Service(
                name=PREFIX + name,
                command=self.namespace.command(words) if enter else words,
                environment={'PYTHONPATH': str(TREE)},
                ready=lambda identity: _says(ready, identity),
                patience=15.0,
            )

        return [doorway('doorway-inside', inside, True), doorway('doorway-outside', outside, False)]

    def start_sidecar(self) -> None:
        """Again, after it was stopped or killed."""
        self.supervisor.up(self._sidecar())

    def stop_sidecar(self) -> None:
        self.supervisor.down(self._sidecar())

    def _sidecar(self) -> Service:
        environment = servers.places_of_kea(self.folder / 'dhcp', self.sockets)
        return sidecar.service(self.settings, self.namespace, self.doors, environment)

    def settled(self, seconds: float = 40.0) -> None:
        """Waits until what NetBox says now is in DHCP, DNS and the boot service.  Raises LabError."""
        since = time.time()
        deadline = time.monotonic() + seconds
        while True:
            try:
                status = json.loads(sidecar.answer(self.doors, '/status') or b'{}')
            except ValueError:
                status = {}
            if _in_step(status, since):
                return
            if time.monotonic() > deadline:
                wrong = [f'{one["name"]}: {one["state"]} {one["message"]}' for one in status.get('services', [])]
                netbox = status.get('netbox', {}).get('message') or 'nothing wrong with NetBox'
                raise LabError(
                    f'not in step within {seconds:.0f} s: {"; ".join(wrong) or "no answer"}; {netbox}; '
                    f'{self.log("sidecar")} says more'
                )
            time.sleep(0.1)

    # ------------------------------------------------------------------ machines

    def machine(self, name: str, **fields: Any) -> Machine:
        """That machine.  With fields of `Spec`, or if it is new, it is made so; one that is on stays as it is."""
        folder = self.folder / 'machines' / name
        if (folder / 'spec.json').exists():
            has = decode((folder / 'spec.json').read_bytes())
            wanted = Spec(name=name, **fields) if fields else has
            if wanted == has:
                return self._handle(has)
            if self._handle(has).power.is_on:
                raise LabError(f'{name} is on; switch it off before it is rebuilt')
            self._check(wanted)
            self.remove(name)
        else:
            wanted = Spec(name=name, **fields)
        return self.add(wanted)

    def add(self, spec: Spec) -> Machine:
        """Puts a machine into the rack; it is off."""
        self._check(spec)
        folder = self.folder / 'machines' / spec.name
        folder.mkdir(mode=0o700, exist_ok=True)
        qemu.make_files(spec, folder)
        write_atomically(folder / 'spec.json', encode(spec).decode() + '\n')
        self._mind(spec)
        return self._handle(spec)

    def _check(self, spec: Spec) -> None:
        """Raises LabError where it cannot be beside the others."""
        taken = {nic.mac: other.name for other in self.machines() if other.name != spec.name for nic in other.spec.nics}
        for nic in spec.nics:
            if nic.mac in taken:
                raise LabError(f'{spec.name}: the MAC address {nic.mac} is that of {taken[nic.mac]}')
        qemu.firmware(spec)

    def machines(self) -> list[Machine]:
        found = sorted((self.folder / 'machines').glob('*/spec.json'))
        return [self._handle(decode(path.read_bytes())) for path in found]

    def existing(self, name: str) -> Machine:
        """A machine that is there.  Raises LabError."""
        found = {machine.name: machine for machine in self.machines()}
        if name not in found:
            there = ', '.join(found) or 'none'
            raise LabError(f'there is no machine {name} in the rack (there are: {there}); bin/lab rack add makes one')
        return found[name]

    def remove(self, name: str) -> None:
        """The machine with its disks."""
        machine = self.existing(name)
        self.supervisor.down(self._minder(machine.spec))
        shutil.rmtree(machine.folder)

    def _handle(self, spec: Spec) -> Machine:
        return Machine(self, spec, self.folder / 'machines' / spec.name, self._socket(spec))

    def _socket(self, spec: Spec) -> Path:
        return self.sockets / f'm{spec.mac.replace(":", "") or spec.uuid[:12]}'

    def _mind(self, spec: Spec) -> None:
        self.supervisor.up(self._minder(spec))

    def _minder(self, spec: Spec) -> Service:
        folder, path = self.folder / 'machines' / spec.name, self._socket(spec)
        name = f'{PREFIX}machine-{spec.name}'
        words = [
            sys.executable, '-m', 'lab.rack.bmc', str(folder), str(path), str(self.log(f'console-{spec.name}')),
            qemu.accelerator(self.folder / 'accelerator'),
        ]  # fmt: skip
        handle = self._handle

        def ready(_identity: Identity) -> bool:
            try:
                return bool(handle(spec).power.status())
            except LabError:
                return False

        return Service(
            name=name,
            command=self.namespace.command(words),
            environment={'PYTHONPATH': str(TREE), 'PATH': PATH},
            ready=ready,
            signature=encode(spec).decode(),
            patience=15.0,
        )

    # ------------------------------------------------------------------ looking

    @contextlib.contextmanager
    def capture(self, path: Path) -> Iterator[Path]:
        """Every packet on the machines' cables, into a pcap file."""
        path = path.absolute()
        ready = self.folder / 'capture'
        service = Service(
            name=f'{PREFIX}capture',
            command=self.namespace.command([sys.executable, '-m', 'lab.rack.capture', ready, path]),
            environment={'PYTHONPATH': str(TREE)},
            ready=lambda identity: _says(ready, identity),
            patience=15.0,
        )
        self.supervisor.down(service)
        self.supervisor.up(service)
        try:
            yield path
        finally:
            self.supervisor.down(service)

    def status(self) -> list['ServiceStatus']:
        """Of everything but the machines."""
        return status(self.places)

    # ------------------------------------------------------------------ down

    def down(self) -> None:
        """Nothing is left but logs."""
        if not self.places.run.exists():
            return
        with self._alone():
            take_down(self.places)

    def _alone(self) -> contextlib.AbstractContextManager[None]:
        return self.places.lock(lambda: self.lab.progress.say('another lab command is at work here; waiting for it'))


def status(places: Places) -> list['ServiceStatus']:
    """What runs in the rack of a lab, but for its machines; nothing where there is no rack."""
    from lab.stack import ServiceStatus

    supervisor, options = Supervisor(places), Options.read(folder_of(places) / 'options.json')
    found = []
    names = ('namespace', 'doorway-inside', 'doorway-outside', 'dhcp', 'dns', 'sidecar') if options else ()
    for name in names[:1] if options and options.bare else names:
        record = supervisor.record(PREFIX + name)
        well = record is not None
        if name == 'sidecar' and record and options:
            well = bool(sidecar.answer(sidecar.Doors(0, options.manage, options.boot), '/healthz'))
        pid, age = (record.identity.pid, record.identity.age) if record else (None, 0.0)
        found.append(ServiceStatus(PREFIX + name, pid, well, age))
    return found


def folder_of(places: Places) -> Path:
    return places.run / 'rack'


def sockets_of(places: Places) -> Path:
    return places.sockets / 'rack'


def end_all(places: Places, supervisor: Supervisor) -> None:
    """Ends every process of the rack, also those that nobody has written down: machines first, the namespace last."""
    names = supervisor.known(PREFIX)

    def down(name: str) -> None:
        supervisor.down(Service(name, [sys.executable], ready=lambda _identity: True))

    # Before it has said that it is ready, its process is still in the namespace of whoever started it.
    record = supervisor.record(HOLDER)
    is_inside = record is not None and _says(folder_of(places) / READY, record.identity)
    namespace = Namespace(record.identity.pid) if record and is_inside else None
    for group in (
        [name for name in names if name.startswith(f'{PREFIX}machine-')],
        [name for name in names if not name.startswith(f'{PREFIX}machine-') and name != HOLDER],
    ):
        if group:
            with ThreadPoolExecutor(max_workers=len(group)) as pool:
                list(pool.map(down, group))
    # What somebody else has started inside, such as a shell, would keep the namespace.
    for pid in namespace.processes() if namespace else []:
        identity = Identity.of(pid)
        if record and identity and identity != record.identity:
            identity.send(signal.SIGKILL)
    down(HOLDER)


def take_down(places: Places) -> None:
    """All of the rack but its logs.  The lab's lock is held by the caller."""
    end_all(places, Supervisor(places))
    for folder in (folder_of(places), sockets_of(places)):
        shutil.rmtree(folder, ignore_errors=True)


def _says(path: Path, identity: Identity) -> bool:
    """Whether the process has written its id there, which it does when it is ready."""
    try:
        return path.read_text().strip() == str(identity.pid)
    except FileNotFoundError:
        return False


def _in_step(status: dict[str, Any], since: float) -> bool:
    netbox, services = status.get('netbox', {}), status.get('services', [])
    return (
        (netbox.get('taken') or 0) > since
        and netbox.get('state') == 'ok'
        and bool(services)
        and all(service['state'] in ('ok', 'degraded') for service in services)
        and all(service['revision'] == status['revision'] for service in services if service['name'] != 'files')
    )


def _free_or_other(port: int) -> int:
    from lab.stack import port_is_free

    return port if port_is_free(port) else _quiet_port()


def _quiet_port() -> int:
    """Free, and not one of those that the kernel gives out by itself."""
    from lab.stack import port_is_free

    while not port_is_free(port := random.randrange(20000, 30000)):  # noqa: S311
        pass
    return port
