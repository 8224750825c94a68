"""What a machine is told when its boot loader asks: the iPXE script, and GRUB's and PXELINUX's configuration.

The decision is NetBox's (the plugin's `boot.decide`, in the feed); this says it in the boot loader's language, checks
that everything that it will fetch is here, and never destroys anything where there is doubt about who asks.  Every
script shows which machine was recognised and why it boots what it boots.  HTTP and TFTP both ask here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from ..claims import token_key
from ..desired import BootImage, Build, Machine
from ..plan import Problem
from . import identify, markers
from .artifacts import ArtifactStore
from .files_store import FilesStore, name_of
from .identify import Claims, Conflict, Known
from .quoting import ipxe_text
from .reading import NoState, Reader

type Kind = Literal[
    'build', 'local', 'rescue', 'discovery', 'wipe', 'nothing', 'unknown', 'conflict', 'waiting', 'no-state'
]

KINDS: tuple[Kind, ...] = get_args(Kind.__value__)

# What iPXE says of the machine that it runs on; the names of HTTP's query (`identify.claims`).
QUERY = 'mac=${netX/mac:hexhyp}&uuid=${uuid}&serial=${serial:uristring}&arch=${buildarch}&platform=${platform}'
# Seconds after which a machine that waits for something asks again.
AGAIN = 10

# How a machine gets from iPXE to its own disk, where NetBox sends no script for it.  BIOS boots the first disk.  UEFI
# goes on in its boot order, but only if iPXE ends with a failure.
_LOCAL = {
    'sanboot': 'sanboot --no-describe --drive 0x80 || exit 1',
    '': 'iseq ${platform} efi && exit 1 ||\nsanboot --no-describe --drive 0x80 || exit 1',
}
_LOCAL_OTHERWISE = 'exit 1'

# The feed's name of the script for each thing that a machine may be asked to do.
_SCRIPTS = {'rescue': 'rescue', 'discovery': 'discover', 'wipe': 'wipe'}

# What is done to nobody in doubt.
_DESTROYS = frozenset(('build', 'wipe'))

_PROSPECTOR = re.compile(re.escape(markers.BASE_URL) + r'/prospector/([a-z0-9_]{1,20})/')

# A loader of the disk's own, where GRUB came by the network: most specific first.
_GRUB_LOCAL = """\
for loader in /efi/debian/shimx64.efi /efi/ubuntu/shimx64.efi /efi/redhat/shimx64.efi /efi/rocky/shimx64.efi \\
    /efi/almalinux/shimx64.efi /efi/fedora/shimx64.efi /efi/centos/shimx64.efi /efi/sles/shim.efi \\
    /efi/opensuse/shim.efi /efi/microsoft/boot/bootmgfw.efi /efi/boot/bootx64.efi /efi/boot/bootaa64.efi; do
    if search --no-floppy --set=disk --file $loader; then
        chainloader ($disk)$loader
        boot
    fi
done
exit
"""
_GRUB_AGAIN = f'sleep {AGAIN}\nconfigfile $prefix/grub.cfg\n'


@dataclass(frozen=True, slots=True)
class Answer:
    """`text` is the script; `reason` says in words why.

    `build` is the build that it starts, with the digest of its token; `once` is the action that must be noted durably
    before this may be served (`Outbox.put_once`), or ''.  `problem` is to be shown to people.  `lasting`: the same for
    as long as the state's revision and the build's outcome are the same.
    """

    kind: Kind
    text: str
    reason: str
    machine: Machine | None = None
    build: Build | None = None
    digest: str = ''
    once: str = ''
    problem: Problem | None = None
    lasting: bool = False


class NotReady(Exception):
    """A build cannot be served yet: `what` is missing; with `problem` a person has to act."""

    def __init__(self, what: str, problem: bool = False) -> None:
        super().__init__(what)
        self.problem = problem


class Scripts:
    """For one thread.  `secret` gives a secret's value by its name (`secrets.Secrets.get`)."""

    def __init__(
        self, reader: Reader, artifacts: ArtifactStore, files: FilesStore, secret: Callable[[str], str]
    ) -> None:
        self._reader = reader
        self._artifacts = artifacts
        self._files = files
        self._secret = secret

    # ------------------------------------------------------------------ iPXE

    def ipxe(self, said: Claims, address: str, base_url: str) -> Answer:
        """The script for a machine that says `said` and asks from `address`."""
        try:
            return self._ipxe(said, address, base_url)
        except NoState as error:
            return Answer('no-state', waiting_script(str(error), base_url), str(error))
        except markers.MarkerError as error:
            # No script of the feed can be filled in: this boot server does not know its own URL.
            words = f'a script cannot be filled in: {error}'
            return Answer(
                'waiting', waiting_script(words, base_url), words, problem=Problem('http', 'service', 0, 'http', words)
            )

    def local(self, machine: Machine | None, reason: str, base_url: str, kind: Kind = 'local') -> Answer:
        """The machine's own disk."""
        method = machine.boot.local_method or '' if machine is not None else ''
        script = self._reader.script('local', method)
        if script is None:
            script = f'#!ipxe\n{_LOCAL.get(method, _LOCAL_OTHERWISE)}\n'
        text = _headed(markers.fill(script, base_url), _who(machine), 'its own disk', reason)
        return Answer(kind, text, reason, machine, lasting=kind == 'local')

    def _ipxe(self, said: Claims, address: str, base_url: str) -> Answer:
        found = identify.identify(said, self._reader.holders)
        if isinstance(found, Conflict):
            return self._conflict(found, base_url)
        machine = self._reader.machine(found.machine) if isinstance(found, Known) else None
        if machine is None:
            return self._unknown(said, address, base_url)
        if (other := _another(said, machine)) is not None:
            return self._conflict(other, base_url)
        boot = machine.boot
        if boot.action == 'build' and machine.build is not None:
            return self._build(machine, machine.build, base_url)
        if boot.action in _SCRIPTS:
            return self._asked_for(machine, said, base_url)
        if boot.action == 'nothing':
            return self.local(machine, boot.reason, base_url, 'nothing')
        return self.local(machine, boot.reason, base_url)

    def _conflict(self, found: Conflict, base_url: str) -> Answer:
        machines = [machine for key in found.machines if (machine := self._reader.machine(key)) is not None]
        reason = found.why.replace(identify.NAMES, ', '.join(machine.name for machine in machines))
        problem = None
        if machines:
            problem = Problem(
                'http', 'machine', machines[0].id, machines[0].name, reason,
                'Nothing is installed or erased until NetBox is corrected; the machine boots its own disk.',
            )  # fmt: skip
        answer = self.local(None, reason, base_url, 'conflict')
        return Answer('conflict', answer.text, reason, problem=problem)

    def _unknown(self, said: Claims, address: str, base_url: str) -> Answer:
        """No machine of this feed: the prospector where discovery is on, else a word about why not."""
        subnets = self._reader.subnets_of(address)
        who = f'{said} at {address}'
        if not subnets:
            reason = f'It is unknown ({said}), and its address {address} is in no subnet of this boot server.'
            return Answer('unknown', _ending(who, reason), reason)
        prefix = subnets[0].prefix
        # Two VRFs may use one prefix, and an address does not say in which it is: then both must want it.
        if not all(subnet.discovery_enabled for subnet in subnets):
            reason = f'It is unknown ({said}), and discovery is off in {prefix}.'
            return Answer('unknown', _ending(who, reason), reason)
        reason = f'It is unknown ({said}), and discovery is on in {prefix}.'
        architecture = said.architecture or 'x86_64'
        script = self._reader.script('discover', architecture)
        lack = self._lack(script, 'discover', architecture)
        if script is None or lack:
            return Answer('unknown', _ending(who, f'{reason} But {lack}'), f'{reason} But {lack}')
        return Answer('discovery', _headed(markers.fill(script, base_url), who, 'discovery', reason), reason)

    def _asked_for(self, machine: Machine, said: Claims, base_url: str) -> Answer:
        """Rescue, discovery or wipe.  What was asked for once is served once, whatever NetBox has heard."""
        action = machine.boot.action
        once = action if action != 'discovery' or machine.state != 'discovered' else ''
        if once and self._reader.was_served_once(machine.id, once):
            reason = f'It was asked for {action} once, and that was served: its own disk.'
            return self.local(machine, reason, base_url, 'nothing')
        architecture = said.architecture or machine.architecture
        if machine.architecture == 'i386' and architecture == 'x86_64':
            architecture = 'i386'
        script = self._reader.script(_SCRIPTS[action], architecture)
        if lack := self._lack(script, _SCRIPTS[action], architecture):
            problem = Problem('http', 'machine', machine.id, machine.name, f'It cannot boot {action}: {lack}')
            if action == 'discovery':
                answer = self.local(machine, f'{machine.boot.reason} But {lack}', base_url, 'nothing')
                return Answer('nothing', answer.text, answer.reason, machine, problem=problem)
            return Answer(
                'waiting', waiting_script(lack, base_url, _who(machine)), lack, machine, problem=problem
            )  # fmt: skip
        text = _headed(markers.fill(script or '', base_url), _who(machine), action, machine.boot.reason)
        return Answer(action, text, machine.boot.reason, machine, once=once)

    def _build(self, machine: Machine, build: Build, base_url: str) -> Answer:
        content = ''
        try:
            content = self._artifact(machine, build, 'ipxe')
            text = markers.fill(content, base_url, build.token, self._secret)
        except NotReady as error:
            problem = _build_problem(machine, build, str(error)) if error.problem else None
            return self._wait(machine, str(error), base_url, problem)
        except markers.MarkerError as error:
            words = f'its script cannot be filled in: {error}'
            return self._wait(machine, words, base_url, _build_problem(machine, build, words))
        return Answer(
            'build', _headed(text, _who(machine), f'build {build.id}', machine.boot.reason), machine.boot.reason,
            machine, build, token_key(build.token), lasting=not markers.needs(content),
        )  # fmt: skip

    @staticmethod
    def _wait(machine: Machine, what: str, base_url: str, problem: Problem | None) -> Answer:
        return Answer('waiting', waiting_script(what, base_url, _who(machine)), what, machine, problem=problem)

    # ------------------------------------------------------------------ GRUB and PXELINUX

    def grub(self, said: Claims, base_url: str) -> Answer:
        """GRUB's configuration for a machine: its build's, else a look at its own disks."""
        try:
            found = self._by_loader(said, base_url, 'grub')
        except NoState as error:
            return Answer('no-state', _grub(str(error), _GRUB_AGAIN), str(error))
        except markers.MarkerError as error:
            return Answer('waiting', _grub(f'waiting: {error}', _GRUB_AGAIN), str(error))
        return found if found.kind in ('build', 'waiting') else replace(found, text=_grub(found.reason, _GRUB_LOCAL))

    def pxelinux(self, said: Claims, base_url: str) -> Answer | None:
        """PXELINUX' configuration out of a machine's build; None where there is none, and PXELINUX goes on to iPXE,
        which tells what is the matter."""
        try:
            found = self._by_loader(said, base_url, 'pxelinux')
        except (NoState, markers.MarkerError):
            return None
        return found if found.kind == 'build' else None

    def _by_loader(self, said: Claims, base_url: str, kind: str) -> Answer:
        """The artifact of the machine's build for a boot loader; without a build, only the reason why it has none."""
        found = identify.identify(said, self._reader.holders)
        if isinstance(found, Conflict):
            return replace(self._conflict(found, base_url), text='')
        machine = self._reader.machine(found.machine) if isinstance(found, Known) else None
        if machine is None:
            return Answer('unknown', '', f'It is unknown ({said}).')
        if (other := _another(said, machine)) is not None:
            return replace(self._conflict(other, base_url), text='')
        build = machine.build
        if machine.boot.action != 'build' or build is None:
            return Answer('local', '', f'{machine.name}: {machine.boot.reason}', machine)
        if not any(artifact.kind == kind for artifact in build.artifacts):
            reason = f'{machine.name}: build {build.id} has no artifact of the kind {kind}.'
            return Answer('nothing', '', reason, machine, problem=_build_problem(machine, build, reason))
        try:
            text = markers.fill(self._artifact(machine, build, kind), base_url, build.token, self._secret)
        except (NotReady, markers.MarkerError) as error:
            needs_people = not isinstance(error, NotReady) or error.problem
            problem = _build_problem(machine, build, str(error)) if needs_people else None
            return Answer('waiting', _grub(f'waiting: {error}', _GRUB_AGAIN), str(error), machine, problem=problem)
        return Answer('build', text, machine.boot.reason, machine, build, token_key(build.token))

    # ------------------------------------------------------------------ whether it is all here

    def _artifact(self, machine: Machine, build: Build, kind: str) -> str:
        """An artifact's content, if all that it will fetch is here.  Raises NotReady."""
        found = next((artifact for artifact in build.artifacts if artifact.kind == kind), None)
        if found is None:
            raise NotReady(f'build {build.id} has no artifact of the kind {kind}', problem=True)
        content = self._artifacts.read(found.sha256)
        if content is None:
            raise NotReady('the boot server has not fetched the script of its build yet')
        for artifact in build.artifacts:
            if not self._artifacts.has(artifact.sha256):
                raise NotReady(f'the boot server has not fetched {artifact.name} of its build yet')
        for name in self.files_of(build):
            if not self._files.has(name):
                raise NotReady(f'the boot server is still fetching a boot file ({name[:16]})')
        for architecture in _PROSPECTOR.findall(content):
            if not self._files.has_prospector(architecture):
                raise NotReady(f'the boot server has no prospector for {architecture}', problem=True)
        return content

    def image_of(self, build: Build) -> BootImage | None:
        if build.boot_image is None:
            return None
        found: BootImage | None = self._reader.view().object('boot-image', build.boot_image)
        if found is None:
            raise NotReady('the feed does not hold its boot image yet')
        return found

    def files_of(self, build: Build) -> list[str]:
        """The names of the boot files that a build needs."""
        image = self.image_of(build)
        return [name_of(file) for file in image.files] if image is not None else []

    def _lack(self, script: str | None, name: str, architecture: str) -> str:
        """What keeps a script of the feed from being served, in words; '' if nothing does."""
        if script is None:
            return f'NetBox has sent no script "{name}" for {architecture}.'
        for found in _PROSPECTOR.findall(script):
            if not self._files.has_prospector(found):
                return f'this boot server has no prospector for {found}.'
        return ''


def _another(said: Claims, machine: Machine) -> Conflict | None:
    """A conflict where what is to be done would destroy the disk of another machine than NetBox means."""
    if machine.boot.action not in _DESTROYS or not identify.is_another(said.uuid, machine.uuid):
        return None
    return Conflict(
        (machine.id,),
        f'It says {said}, and is {identify.NAMES} by one of these, but {identify.NAMES} has the UUID {machine.uuid} '
        f'in NetBox. If its board was replaced, correct the UUID in NetBox.',
    )


# ---------------------------------------------------------------------- the words of scripts


def _shown(text: str) -> str:
    """As iPXE may show it; a screen has few lines."""
    return ipxe_text(text if len(text) <= 400 else f'{text[:400]}…')


def _who(machine: Machine | None) -> str:
    return machine.name if machine is not None else 'this machine'


def _headed(script: str, who: str, what: str, reason: str) -> str:
    """The script with a line after its first that shows who boots what, and why."""
    first, _, rest = script.partition('\n')
    shown = f'echo Substruct: {_shown(who)} boots {_shown(what)}. {_shown(reason)}\n'
    return f'{first}\n{shown}{rest}' if first.startswith('#!ipxe') else f'#!ipxe\n{shown}{script}'


def _ending(who: str, reason: str) -> str:
    """Shown for a moment; then the firmware goes on to whatever it boots next."""
    return f'#!ipxe\necho Substruct: nothing for {_shown(who)}. {_shown(reason)}\nsleep 5\nexit 1\n'


def waiting_script(what: str, base_url: str, who: str = 'this machine') -> str:
    """Shows what is waited for, and asks again; without a base URL, wherever this script came from."""
    base = base_url.rstrip('/') if markers.is_base_url(base_url) else ''
    return (
        f'#!ipxe\n:again\necho Substruct: {_shown(who)} waits: {_shown(what)}\n'
        f'echo Trying again in {AGAIN} seconds (Ctrl-C ends)\nsleep {AGAIN} || shell\n'
        f'chain --replace --autofree {base}/boot.ipxe?{QUERY} || goto again\n'
    )


def _grub(shown: str, rest: str) -> str:
    return f"echo 'Substruct: {_shown(shown)}'\n{rest}"


def _build_problem(machine: Machine, build: Build, words: str) -> Problem:
    return Problem(
        'http', 'machine', machine.id, machine.name, f'Build #{build.id} waits: {words}',
        'The machine asks again every few seconds and goes on by itself once this is mended.',
    )  # fmt: skip
