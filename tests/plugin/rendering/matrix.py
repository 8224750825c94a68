"""The matrix of the template library: which installers are rendered for which machines, and who checks the result.

`CELLS` is what test_matrix.py runs, each cell a test, and what the table in the manual is made of: no cell stands there
that is not run.
"""

import copy
import shlex
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netbox_substruct.bundles import render
from netbox_substruct.bundles.rendering import Bundle
from tests.formats import debconf, ksvalidator, netplan

from . import autoinstall
from .machines import FOUR, disk, with_disks
from .machines import MACHINES as NETWORKS
from .samples import context, packaged

HERE = Path(__file__).parent
SNAPSHOTS = HERE / 'snapshots'


def _machine(network: str, **changes: Any) -> Callable[..., dict[str, Any]]:
    """A machine with the ports of one of the networks, and what is changed beside."""

    def made(**more: Any) -> dict[str, Any]:
        return machine_like(NETWORKS[network], **{'profile__disk_layout': {'disk': '/dev/sda'}, **changes, **more})

    return made


def machine_like(found: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The context again, with changes."""
    kept = {name: copy.deepcopy(found[name]) for name in ('interfaces', 'network', 'machine', 'parameters')}
    return context(**{**kept, **changes})


KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFfake ada@example.com'
ACCOUNTS: dict[str, Any] = {
    'locale': 'de_DE.UTF-8', 'keyboard': 'de', 'packages': ['vim', 'tmux'],
    'kernel_options': ['console=ttyS0,115200n8'],
    'root': {'password_hash': '$6$abc$def', 'ssh_keys': [KEY]},
    'users': [
        {'name': 'ada', 'full_name': "Ada O'Neil", 'password_hash': '$6$a$b', 'ssh_keys': [KEY], 'groups': ['adm'],
         'sudo': True},
        {'name': 'bob'},
    ],
    'late_commands': ["echo 'a b' >/etc/x", 'systemctl enable x || true'],
}  # fmt: skip

# What is odd about each machine is its name here, and in the manual.
MACHINES: dict[str, Callable[..., dict[str, Any]]] = {
    'one disk': _machine('one port, static', **with_disks({'disk': 'only'}, disk('sda', 480))),
    'two disks': _machine(
        'one port, static', **with_disks({'disk': 'smallest', 'raid': 1}, *FOUR, machine__firmware='bios')
    ),
    'four disks, encrypted': _machine(
        'one port, DHCP by status', machine__firmware='uefi',
        **with_disks({'disk': {'transport': 'sas'}, 'raid': 10, 'scheme': 'crypto', 'crypto_secret': 'luks/web'},
                     *(disk(f'sd{letter}', 4000, 'sas') for letter in 'abcd')),
    ),
    'bond of two, with a VLAN': _machine('bond with a VLAN'),
    'VLANs on a port': _machine('VLANs on a port, by their names'),
    'bridge over a bond': _machine('bridge over a bond'),
    'two ports, two families, routes': _machine('both families and a second port'),
    'IPv6 only': _machine('IPv6 only'),
    'odd names': _machine('odd names'),
    'comments beyond ASCII, accounts': _machine(
        'one port, static', machine__name='wéb01 – Schrank 7, 東京 😀', profile__name='Größe „L“', parameters=ACCOUNTS
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Family:
    """A template of the library, what it is rendered for, and how the result is checked.

    `releases` has the slug of a platform and what the check wants to know of it.
    """

    template: str
    kind: str
    tool: str
    releases: dict[str, str]
    check: Callable[[Bundle, str, Path], None]
    parameters: dict[str, Any]
    # Releases that are rendered for every machine, the first of them to be read; the others for the first machines,
    # for they differ from one of these by where they come from.
    whole: tuple[str, ...]
    # What the installer cannot do, which is refused.
    refuses: tuple[str, ...] = ()

    def machines(self, release: str) -> list[str]:
        found = list(MACHINES) if release in self.whole else list(MACHINES)[:2]
        return [machine for machine in found if machine not in self.refuses]


@dataclass(frozen=True)
class Cell:
    family: Family
    release: str
    machine: str

    def bundle(self) -> Bundle:
        slug = self.release
        found = MACHINES[self.machine](boot_image__platform={'name': slug, 'slug': slug})
        found['parameters'] = {**self.family.parameters, **found['parameters']}
        return render(found, [packaged(self.family.template, self.family.kind)])

    @property
    def snapshot(self) -> Path | None:
        """Where the artifact is kept to be read; not for each, for most differ by a word."""
        if self.release != self.family.whole[0] and self.machine != 'one disk':
            return None
        name = f'{self.release}, {self.machine}'.replace(',', '').replace(' ', '-')
        return SNAPSHOTS / Path(self.family.template).with_suffix('').name / f'{name}.txt'


# ---------------------------------------------------------------- kickstart


def after_pre(text: str, folder: Path) -> str:
    """A kickstart file as it is once its %pre has run on the machine: what it wrote stands where it is included."""
    script = text.split('\n%pre', 1)[1].split('\n', 1)[1].split('\n%end', 1)[0]
    for number, mac in enumerate(dict.fromkeys(_macs(script))):
        folder.joinpath(f'net/eth{number}/device').mkdir(parents=True)
        folder.joinpath(f'net/eth{number}/address').write_text(f'{mac}\n')
    for name, removable in {'vda': 0, 'loop0': 0, 'sdz': 1}.items():
        folder.joinpath('block', name).mkdir(parents=True)
        folder.joinpath('block', name, 'size').write_text('1000\n')
        folder.joinpath('block', name, 'removable').write_text(f'{removable}\n')
    script = script.replace('/sys/class/net', f'{folder}/net').replace('/sys/block', f'{folder}/block')
    script = script.replace('/tmp/substruct', f'{folder}/substruct').replace('[ -b "$disk" ]', 'true')
    programs = folder / 'bin'
    programs.mkdir()
    for name, does in {'curl': ':', 'sleep': 'kill -9 $PPID'}.items():
        (programs / name).write_text(f'#!/bin/sh\n{does}\n')
        (programs / name).chmod(0o755)
    ran = subprocess.run(
        ['bash', '-c', script], env={'PATH': f'{programs}:/usr/bin:/bin'}, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, '')
    lines = []
    for line in text.split('\n'):
        included = folder / line.removeprefix('%include /tmp/') if line.startswith('%include ') else None
        lines.append(included.read_text().strip() if included else line)
    return '\n'.join(lines)


def _macs(script: str) -> Iterator[str]:
    for line in script.splitlines():
        if '=$(port ' in line:
            yield line.split('=$(port ')[1].split()[0]


def check_kickstart(bundle: Bundle, version: str, folder: Path) -> None:
    text = autoinstall.filled(bundle.artifacts[0].content)
    whole = folder / 'kickstart.cfg'
    whole.write_text(after_pre(text, folder))
    assert ksvalidator(whole, version) == (0, '')
    scripts = [
        part.split('\n', 1)[1].split('\n%end', 1)[0]
        for section in ('%post', '%onerror')
        for part in text.split(f'\n{section}')[1:]
    ]
    subprocess.run(['bash', '-n', '-c', '\n'.join(scripts)], check=True)


KICKSTART = Family(
    template='redhat/kickstart.cfg', kind='kickstart', tool='ksvalidator (pykickstart)',
    releases={
        **{f'{name}-{number}': f'RHEL{number}' for name in ('rhel', 'oracle') for number in (7, 8, 9, 10)},
        **{f'{name}-{number}': f'RHEL{number}' for name in ('rocky', 'alma') for number in (8, 9, 10)},
        'centos-7': 'RHEL7', **{f'centos-stream-{number}': f'RHEL{number}' for number in (8, 9, 10)},
        **{f'fedora-{number}': f'F{number}' for number in (41, 42, 43)},
    },
    check=check_kickstart, parameters={'mirror': {'url': 'http://mirror.example.com/BaseOS/os/'}},
    whole=('rocky-9', 'rhel-7', 'alma-8', 'rhel-10', 'fedora-43'),
)  # fmt: skip

# ---------------------------------------------------------------- autoinstall


def check_autoinstall(bundle: Bundle, version: str, folder: Path) -> None:
    autoinstall.check(bundle.artifacts[0].content, folder)


AUTOINSTALL = Family(
    template='ubuntu/autoinstall.yaml', kind='user-data',
    tool='cloud-init’s schema (the file and the user-data in it), netplan (its network), and a schema after the manual '
    'of the installer. The file is the same for every release',
    releases=dict.fromkeys(('ubuntu-20-04', 'ubuntu-22-04', 'ubuntu-24-04', 'ubuntu-26-04'), ''),
    check=check_autoinstall, parameters={}, whole=('ubuntu-24-04',),
)  # fmt: skip

# ---------------------------------------------------------------- preseed


def check_preseed(bundle: Bundle, version: str, folder: Path) -> None:
    text = autoinstall.filled(bundle.artifacts[0].content, 'a passphrase')
    file = folder / 'preseed.cfg'
    file.write_text(text)
    assert debconf(file) == (0, '', '')
    for line in text.replace('\\\n', '').split('\n'):
        if 'early_command string' in line or 'late_command string' in line:
            command = line.split(' string ', 1)[1]
            subprocess.run(['sh', '-n', '-c', command], check=True)
            _check_netplan(command, folder)


def _check_netplan(command: str, folder: Path) -> None:
    """Runs what writes the network of the installed system, and lets netplan read it."""
    for part in command.split('in-target sh -c ')[1:]:
        inner = shlex.split(part)[0].removesuffix(';')
        if '/etc/netplan' not in inner:
            continue
        written = folder / 'root' / 'etc' / 'netplan' / '60-substruct.yaml'
        written.parent.mkdir(parents=True)
        script = inner.replace('/etc/netplan', str(written.parent)).replace('/etc/network', str(folder))
        subprocess.run(['sh', '-c', script.replace('systemctl', 'true')], check=True)
        ran = netplan(folder / 'root')
        assert (ran.returncode, ran.stderr) == (0, '')
        return
    assert 'netplan' not in command


PRESEED = Family(
    template='debian/preseed.cfg', kind='preseed',
    tool='debconf-set-selections --checkonly, the shell, and netplan (the network of the installed system)',
    releases=dict.fromkeys(('debian-11', 'debian-12', 'debian-13', 'ubuntu-18-04', 'ubuntu-20-04'), ''),
    check=check_preseed, parameters={}, whole=('debian-12',), refuses=('four disks, encrypted',),
)  # fmt: skip

FAMILIES = [KICKSTART, AUTOINSTALL, PRESEED]
CELLS = [
    Cell(family, release, machine)
    for family in FAMILIES
    for release in family.releases
    for machine in family.machines(release)
]


def table() -> str:
    """The matrix as the manual has it."""
    lines = [
        '<!-- Made from tests/plugin/rendering/matrix.py by test_matrix.py, which says how. -->',
        '',
    ]
    for family in FAMILIES:
        lines += [f'### {family.template}', '', f'Checked by {family.tool}.', '']
        lines += ['| | ' + ' | '.join(MACHINES) + ' |', '| --- |' + ' --- |' * len(MACHINES)]
        for release, version in family.releases.items():
            done = family.machines(release)
            marks = ['✓' if name in done else 'refused' if name in family.refuses else '' for name in MACHINES]
            lines.append(f'| {release}{f" (as {version})" if version else ""} | {" | ".join(marks)} |')
        lines.append('')
    return '\n'.join(lines)
