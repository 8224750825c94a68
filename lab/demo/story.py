"""What happens to each machine of the demo, from power-on until it runs from its own disk.

Every machine goes the same way: an unknown one is found by discovery and adopted, a known one has its device already; a
build is requested, and the rest is watched, in NetBox and on the machine's console.  What has happened before (the demo
runs for the second time) is not done again.  The story looks at all machines in turn, so one loop tells all of them.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pynetbox
import requests

from lab.errors import LabError
from lab.rack.seed import get_or_create
from lab.rack.spec import Spec

if TYPE_CHECKING:
    from lab.rack.machine import Machine
    from lab.rack.rack import Rack

# Seconds between two looks at NetBox, and before the story is given up.
POLL = 1.5
PATIENCE = 1200.0

ENDED = ('failed', 'cancelled', 'stalled')
# The moment of what had happened before the story began.
BEFORE = -1.0
UNDER_WAY = ('pending', 'booting', 'installing', 'finishing')

# NetBox does not answer, or cannot: it is asked again.
AWAY = (requests.RequestException, pynetbox.RequestError, pynetbox.ContentError)

# What a line of a console says of what the machine does now; the first that fits.
SIGNS: Sequence[tuple[re.Pattern[str], str]] = (
    (re.compile(r'^iPXE initialising|^iPXE \d'), 'its network card starts iPXE'),
    (re.compile(r'PXELINUX|lpxelinux'), 'PXELINUX starts'),
    (re.compile(r'>>Start PXE over IPv4'), 'UEFI asks DHCP for a boot server'),
    (re.compile(r'Substruct: (nothing to do, booting the local disk)'), 'iPXE: {}'),
    (re.compile(r'Substruct: (.+)'), 'iPXE: {}'),
    (re.compile(r'GRUB: .* from the local disk'), 'its own disk: GRUB loads the kernel'),
    (re.compile(r'\] Linux version (\S+)'), 'Linux {} starts'),
    (re.compile(r'\] Run /init as init process'), 'the initrd runs'),
    (re.compile(r'^\[ *\d+\.\d\] (.+)'), 'prospector: {}'),
    (re.compile(r'\] systemd\[1\]: Detected virtualization'), 'its own disk: systemd starts'),
    (re.compile(r"Cloud-init v\. \S+ running '([^']+)'"), 'its own disk: cloud-init, {}'),
    (re.compile(r'^(\S+) login:'), 'runs from its own disk'),
)
# Systems say more on the line of the prompt: this is looked for beside the signs.
LOGIN = re.compile(r'^(\S+) login:')
LOCAL_DISK = re.compile(r'GRUB: .* from the local disk')
STARTS = re.compile(r'SeaBIOS|BdsDxe|iPXE initialising')


@dataclass(frozen=True)
class Part:
    """A machine of the cast.  `address` is that of a machine that NetBox knows before; '' for one that it does not."""

    spec: Spec
    profile: int
    address: str = ''
    # What adopting an unknown machine calls it.
    adopted_as: str = ''

    @property
    def known(self) -> bool:
        return bool(self.address)

    @property
    def title(self) -> str:
        firmware = {'bios': 'BIOS', 'uefi': 'UEFI'}[self.spec.firmware]
        return f'{"known" if self.known else "unknown"}, {firmware}'


@dataclass
class Actor:
    """A machine while its story is told.  Times are seconds since the story began; None: not yet."""

    part: Part
    machine: 'Machine'
    name: str
    # It was put into the rack just now, with empty disks, whatever NetBox may say of it.
    new: bool = False
    doing: str = 'off'
    last: str = ''
    progress: int | None = None
    moments: dict[str, float] = field(default_factory=dict)
    failed: str = ''
    over: bool = False
    url: str = ''
    record: Any = None
    build: Any = None
    # How far its console was read, when it was last started, and whether it has left GRUB since.
    line: int = 0
    from_disk: bool = False
    events: int = 0


type Listener = Callable[[float, Actor, str], None]


class Story:
    """`tell` tells it.  `listen` is called for each thing that happens, `look` after each look."""

    def __init__(
        self,
        rack: 'Rack',
        cast: Sequence[Part],
        listen: Listener = lambda moment, actor, text: None,
        look: Callable[[float, Sequence[Actor]], None] = lambda moment, actors: None,
    ) -> None:
        self.rack = rack
        self.api = rack.netbox
        self.substruct = self.api.plugins.substruct
        self.listen, self.look = listen, look
        self.actors = [self._actor(part) for part in cast]
        self.began: float | None = None
        self.trouble = ''  # with NetBox, the last time it was asked

    def _actor(self, part: Part) -> Actor:
        new = not self._is_there(part.spec)
        machine = self.rack.add(part.spec) if new else self.rack.machine(part.spec.name)
        return Actor(part, machine, part.spec.name, new)

    def _is_there(self, spec: Spec) -> bool:
        return any(machine.name == spec.name for machine in self.rack.machines())

    @property
    def now(self) -> float:
        """Seconds since the story began, before which nothing is told."""
        return time.monotonic() - self.began if self.began is not None else 0.0

    # ------------------------------------------------------------------ telling

    def tell(self, patience: float = PATIENCE) -> bool:
        """Whether every machine was built and runs from its own disk."""
        self.began = time.monotonic()
        self._prologue()
        plots = [(actor, self._plot(actor)) for actor in self.actors]
        while not all(actor.over for actor in self.actors):
            self._watch()
            for actor, plot in plots:
                if not actor.over:
                    try:
                        next(plot)
                    except StopIteration:
                        actor.over = True
                    except (LabError, *AWAY) as error:
                        self._fail(actor, str(error))
                    if not actor.over and self.now > patience:
                        trouble = f'; NetBox: {self.trouble}' if self.trouble else ''
                        self._fail(actor, f'it has not come to its end within {patience:.0f} s{trouble}')
            self.look(self.now, self.actors)
            time.sleep(POLL)
        return all(not actor.failed for actor in self.actors)

    def _prologue(self) -> None:
        """Known machines get their devices and their builds, all at once, before anything is powered on."""
        for actor in self.actors:
            if actor.part.known:
                actor.record = actor.machine.register(actor.part.address, profile=actor.part.profile)
            else:
                actor.record = actor.machine.netbox()
            self._catch_up(actor)
            if actor.record is None:
                continue
            if actor.new and actor.record.state.value == 'building':
                self._cancel_build(actor)
            if actor.record.state.value in ('registered', 'failed', *(['built'] if actor.new else [])):
                self.request_build(actor)
        self.rack.settled()

    def _catch_up(self, actor: Actor) -> None:
        """What has happened to it before is not told, but where it stands is."""
        self._hear(actor, now=False)
        if not actor.machine.power.is_on:
            actor.moments.clear()
            actor.from_disk, actor.doing = False, 'off'
        if 'running' in actor.moments:
            self._happens(actor, 'here', 'runs from its own disk already')
        builds = self.substruct.builds.filter(machine_id=actor.record.id) if actor.record is not None else []
        if numbers := [build.id for build in builds]:
            events = [event.id for event in self.substruct.build_events.filter(build_id=numbers)]
            actor.events = max(events, default=0)

    def _plot(self, actor: Actor) -> Iterator[None]:
        """One machine's story; each step waits for its condition."""
        if not actor.machine.power.is_on:
            actor.machine.power.on()
            self._happens(actor, 'power', 'is powered on')
            actor.doing = 'the firmware starts'
        while actor.record is None:
            yield
        if actor.record.state.value == 'discovered':
            self._happens(actor, 'discovered', f'NetBox knows it now: {self._facts(actor)}')
            yield
            self.adopt(actor)
            yield
        if actor.build is None and actor.record.state.value in ('registered', 'failed'):
            self.request_build(actor)
        while actor.record.state.value != 'built':
            if actor.build is not None and actor.build.state.value in ENDED:
                raise LabError(f'its build is {actor.build.state.value}: {actor.build.error or actor.last}')
            yield
        self._happens(actor, 'built', 'NetBox says that it is built')
        while 'running' not in actor.moments:
            if not actor.machine.power.is_on:
                raise LabError('it was switched off before it ran from its own disk')
            yield
        actor.doing = 'runs from its own disk'

    def _fail(self, actor: Actor, why: str) -> None:
        actor.failed, actor.over = why, True
        self._happens(actor, 'failed', why)

    def _happens(self, actor: Actor, what: str, text: str) -> None:
        actor.moments.setdefault(what, self.now)
        self.listen(self.now, actor, text)

    # ------------------------------------------------------------------ doing

    def adopt(self, actor: Actor) -> None:
        """The reviewed step of an administrator, by API: what would be done is looked at, and confirmed as it is."""
        role = get_or_create(self.api.dcim.device_roles, {'slug': 'server'}, name='Server', slug='server')
        url = f'{actor.record.url}adopt/'
        choices = {
            'name': actor.part.adopted_as, 'role': role.id, 'profile': actor.part.profile, 'primary_ip': 'next',
        }  # fmt: skip
        proposal = self.post(url, choices)
        if proposal['problems']:
            raise LabError('; '.join(problem['message'] for problem in proposal['problems']))
        done = self.post(url, {**choices, 'confirm': proposal['digest']})
        actor.record = self.substruct.machines.get(done['machine'])
        actor.name = actor.part.adopted_as
        made = len(done['created'])
        self._happens(actor, 'adopted', f'is adopted: the device {actor.name} and {made - 1} objects with it')

    def request_build(self, actor: Actor) -> None:
        """Its disks may go: a machine that was built before, and is active, needs its name as the override."""
        self.post(f'{actor.record.url}build/', {'profile': actor.part.profile, 'override': actor.record.name})
        actor.record.full_details()
        self._happens(actor, 'requested', 'its build is requested')

    def _cancel_build(self, actor: Actor) -> None:
        """One that was under way when the machine was taken away, with the disk that it was writing."""
        for build in self.substruct.builds.filter(machine_id=actor.record.id):
            if build.state.value in UNDER_WAY:
                self.post(f'{build.url}cancel/', {'reason': 'the machine was replaced'})
        actor.record.full_details()

    def post(self, url: str, body: Any) -> Any:
        """An action of NetBox's API; raises LabError with what it says."""
        return self._call('post', url, json=body)

    def _call(self, method: str, url: str, **more: Any) -> Any:
        """What pynetbox has no words for, or makes objects of that are none."""
        headers = {'Authorization': f'Bearer {self.api.token}'}
        answer = self.api.http_session.request(method, url, headers=headers, **more)
        if not answer.ok:
            raise LabError(f'NetBox refuses {url}: {answer.status_code} {answer.text[:500]}')
        return answer.json()

    # ------------------------------------------------------------------ watching

    def _watch(self) -> None:
        for actor in self.actors:
            if not actor.over:
                self._hear(actor)
        try:
            self._ask()
            self.trouble = ''
        except AWAY as error:
            self.trouble = str(error)

    def _hear(self, actor: Actor, now: bool = True) -> None:
        """What its console says, or has said before now."""

        def happens(what: str, text: str) -> None:
            if now:
                self._happens(actor, what, text)
            else:
                actor.moments[what] = BEFORE

        lines = actor.machine.console.lines()
        for line in lines[actor.line :]:
            if STARTS.search(line.text):
                actor.from_disk = False
                if not now:
                    actor.moments.clear()
            if LOCAL_DISK.search(line.text) and not actor.from_disk:
                actor.from_disk = True
                happens('disk', 'boots from its own disk')
            if actor.from_disk and 'running' not in actor.moments and (found := LOGIN.search(line.text)):
                happens('running', f'{found[1]} runs from its own disk')
            for pattern, words in SIGNS:
                if found := pattern.search(line.text):
                    actor.doing = words.format(*(group.strip() for group in found.groups()))
                    break
        # The last line may still grow.
        actor.line = max(0, len(lines) - 1)

    def _ask(self) -> None:
        """What NetBox says."""
        waiting = [actor for actor in self.actors if not actor.over]
        for actor in waiting:
            if actor.record is None:
                actor.record = actor.machine.netbox()
        known = {actor.record.id: actor for actor in waiting if actor.record is not None}
        if not known:
            return
        for record in self.substruct.machines.filter(id=list(known)):
            known[record.id].record = record
            known[record.id].url = record.display_url
        builds: dict[int, Actor] = {}
        for build in sorted(self.substruct.builds.filter(machine_id=list(known)), key=lambda one: one.id):
            actor = known[build.machine.id]
            actor.build, actor.progress = build, build.progress or None
            actor.url = build.display_url
        builds = {actor.build.id: actor for actor in waiting if actor.build is not None}
        if not builds:
            return
        newest = min(actor.events for actor in builds.values())
        found = self.substruct.build_events.filter(build_id=list(builds), id__gt=newest)
        for event in sorted(found, key=lambda one: one.id):
            actor = builds[event.build.id]
            if event.id > actor.events:
                actor.events = event.id
                actor.last = event.message or str(event.kind)
                if event.kind.value == 'finishing':
                    actor.moments.setdefault('written', self.now)
                self.listen(self.now, actor, in_words(str(event.kind), event.message))

    def _facts(self, actor: Actor) -> str:
        """What NetBox knows of it, in a few words."""
        found = self._call('get', f'{self.substruct.fact_sets.url}/?machine_id={actor.record.id}&limit=1')['results']
        data = (found[0]['data'] if found else None) or {}
        cpu, memory = data.get('cpu') or {}, data.get('memory') or {}
        words = []
        if cpu.get('threads'):
            words.append(f'{cpu["threads"]} processor{"s" if cpu["threads"] > 1 else ""}')
        if memory.get('total_bytes'):
            words.append(f'{memory["total_bytes"] / (1 << 30):.1f} GiB of memory')
        for disk in data.get('disks') or []:
            if disk.get('size_bytes'):
                words.append(f'disk {disk.get("name")} of {disk["size_bytes"] / 1e9:.0f} GB')
        return ', '.join(words) or 'its facts'


def in_words(kind: str, message: str) -> str:
    """An event in one line; many messages begin with what it is."""
    if not message or message.lower().startswith(kind.lower()):
        return message or kind
    return f'{kind}: {message}'
