"""The prospector on machines and networks that are not made for it: other root file systems than ext4 on a partition, a
tagged boot network, a switch port that takes its time, a cable in another card, and somebody in front of the screen.
"""

import json
import shutil
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import prospector
from lab.errors import LabError
from tests.sidecar.prospector.emulated import MAC, OTHER_MAC, Emulated, Wire, disk, url_of
from tests.sidecar.prospector.serving import Server, serving

pytestmark = [
    pytest.mark.e2e_all,
    pytest.mark.skipif(
        shutil.which('qemu-system-x86_64') is None or shutil.which('apt-get') is None,
        reason='qemu-system-x86_64 or apt-get is not installed',
    ),
]

MIB = 1 << 20
VLAN = 42
ORDERS = {'format_version': 1, 'machine': 'web1', 'action': 'local', 'reason': 'Nothing is to be done.', 'again': 60}


@pytest.fixture(scope='module')
def image() -> Path:
    try:
        return prospector.ensure() / 'x86_64'
    except LabError as error:
        pytest.skip(str(error))


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as found:
        found.files['/healthz'] = b'ok'
        found.files['/orders'] = json.dumps({**ORDERS, 'wait': True}).encode()
        yield found


def facts(server: Server) -> Any:
    return json.loads(server.texts('/facts')[0])['data']


# ---------------------------------------------------------------------- networks


def tagged(frame: bytes) -> bytes:
    return frame[:12] + struct.pack('!HH', 0x8100, VLAN) + frame[12:]


def untagged(frame: bytes) -> bytes | None:
    """What a trunk takes in: nothing that has no tag, or another one."""
    if frame[12:14] != b'\x81\x00' or struct.unpack_from('!H', frame, 14)[0] & 0xFFF != VLAN:
        return None
    return frame[:12] + frame[16:]


def announcement() -> bytes:
    """A switch's LLDP frame, with the name of a VLAN that is tagged on the port (IEEE 802.1Q, annex D.2.3)."""

    def value(kind: int, content: bytes) -> bytes:
        return struct.pack('!H', kind << 9 | len(content)) + content

    named = b'\x00\x80\xc2\x03' + struct.pack('!HB', VLAN, 4) + b'boot'
    return (
        bytes.fromhex('0180c200000e 020000000001 88cc') + value(1, b'\x04' + bytes.fromhex('020000000001'))
        + value(2, b'\x05Gi0/7') + value(3, struct.pack('!H', 120)) + value(5, b'switch') + value(127, named)
        + value(0, b'')
    )  # fmt: skip


class TestATaggedBootNetwork:
    def test_that_is_named_is_used_at_once(self, image: Path, tmp_path: Path, server: Server) -> None:
        wire = Wire(tmp_path, untagged, tagged)
        with Emulated(image, tmp_path, server, *wire.options, arguments=f'substruct.vlan={VLAN}') as machine:
            machine.wait(lambda: server.texts('/facts'))
        found = {one['kernel_name']: one for one in facts(server)['interfaces']}
        (used,) = [name for name, one in found.items() if one['in_use']]
        assert (used, found[used]['kind']) == (f'eth0.{VLAN}', 'vlan')
        assert [name for name, one in found.items() if one['boot']] == ['eth0']

    def test_that_the_switch_announces_is_found(self, image: Path, tmp_path: Path, server: Server) -> None:
        wire = Wire(tmp_path, untagged, tagged)
        with Emulated(image, tmp_path, server, *wire.options) as machine:

            def told() -> bool:
                wire.to_machine(announcement())
                time.sleep(0.5)
                return bool(server.texts('/facts'))

            machine.wait(told)
            assert f'eth0: asking on the tagged VLAN {VLAN}' in machine.shown
            assert 'eth0 is connected to switch, port Gi0/7' in machine.shown
        (used,) = [one for one in facts(server)['interfaces'] if one['in_use']]
        assert used['kernel_name'] == f'eth0.{VLAN}'


def test_a_port_that_passes_nothing_for_half_a_minute_is_waited_for(
    image: Path, tmp_path: Path, server: Server
) -> None:
    """Spanning tree: the link is up, and the port listens and learns first (IEEE 802.1D, 8.4: twice 15 seconds)."""
    first: list[float] = []
    lost: list[bytes] = []

    def passes(frame: bytes) -> bytes | None:
        first.append(time.monotonic())
        if time.monotonic() - first[0] < 30.0:
            lost.append(frame)
            return None
        return frame

    wire = Wire(tmp_path, passes, lambda frame: frame if first and time.monotonic() - first[0] >= 30.0 else None)
    with Emulated(image, tmp_path, server, *wire.options) as machine:
        machine.wait(lambda: server.texts('/facts'))
        assert 'a switch port may need a minute' in machine.shown
    assert len(lost) > 10, 'it has asked all the time'


def test_a_cable_in_another_card_than_the_one_it_is_said_to_boot_from(
    image: Path, tmp_path: Path, server: Server
) -> None:
    other = ('-netdev', 'user,id=other', '-device', f'e1000,netdev=other,mac={OTHER_MAC}')
    with Emulated(image, tmp_path, server, *other, running=False) as machine:
        machine.qmp('set_link', name='card', up=False)
        machine.qmp('cont')
        machine.wait(lambda: server.texts('/facts'))
        assert f'({MAC}, which it booted from): the link is down' in machine.shown
    cards = {one['mac']: one for one in facts(server)['interfaces']}
    assert (cards[MAC]['link'], cards[MAC]['boot'], cards[MAC]['in_use']) == (False, True, False)
    assert (cards[OTHER_MAC]['link'], cards[OTHER_MAC]['in_use']) == (True, True)


# ---------------------------------------------------------------------- root file systems

SEED = {'user-data': b'#cloud-config\nhostname: web1\n', 'meta-data': b'instance-id: i-1\n'}
SECTORS = 2048  # of 512 bytes, before the first partition


def system(folder: Path, fstab: str = '') -> Path:
    """What makes a file system the root of one, for who only looks."""
    for name in ('etc', 'usr/bin', 'var/lib/cloud', 'srv'):
        (folder / name).mkdir(parents=True)
    (folder / 'etc/os-release').write_text('ID=debian\n')
    (folder / 'etc/fstab').write_text(fstab)
    (folder / 'usr/bin/cloud-init').write_text('#!/bin/sh\n')
    return folder


def in_a_partition(path: Path, content: Path) -> Path:
    """A disk with one partition."""
    size = content.stat().st_size
    with path.open('wb') as stream:
        stream.truncate(size + 2 * MIB)
    subprocess.run(
        ['sgdisk', '--new=1:2048:0', '--typecode=1:8300', str(path)], check=True, stdout=subprocess.DEVNULL
    )  # fmt: skip
    subprocess.run(
        ['dd', f'if={content}', f'of={path}', 'bs=1M', 'seek=1', 'conv=notrunc,sparse', 'status=none'], check=True
    )  # fmt: skip
    return path


def xfs(folder: Path) -> Path:
    root, content, recipe = system(folder / 'root'), folder / 'fs', folder / 'recipe'
    with content.open('wb') as stream:
        stream.truncate(320 * MIB)
    recipe.write_text(
        'nothing\n0 0\nd--755 0 0\netc d--755 0 0\n'
        f'os-release ---644 0 0 {root}/etc/os-release\nfstab ---644 0 0 {root}/etc/fstab\n$\n'
        f'usr d--755 0 0\nbin d--755 0 0\ncloud-init ---755 0 0 {root}/usr/bin/cloud-init\n$\n$\n'
        'var d--755 0 0\nlib d--755 0 0\ncloud d--755 0 0\n$\n$\n$\n$\n'
    )
    subprocess.run(['mkfs.xfs', '-q', '-p', str(recipe), str(content)], check=True)
    return in_a_partition(folder / 'image', content)


def btrfs(folder: Path) -> Path:
    content = folder / 'fs'
    with content.open('wb') as stream:
        stream.truncate(256 * MIB)
    subprocess.run(['mkfs.btrfs', '-q', '--rootdir', str(system(folder / 'root')), str(content)], check=True)
    return in_a_partition(folder / 'image', content)


def empty(path: Path, size: int) -> Path:
    with path.open('wb') as stream:
        stream.truncate(size)
    return path


class Site:
    """A boot server with machines that boot one after the other."""

    def __init__(self, image: Path, folder: Path, server: Server) -> None:
        self.image, self.folder, self.server = image, folder, server
        self.boots = 0

    def _run(self, mode: str, name: str, *options: str, arguments: str = '', memory: int = 512) -> Emulated:
        """Until the build under this token is told to be done, and the machine has ended."""
        self.boots += 1
        folder = self.folder / f'boot{self.boots}'
        folder.mkdir()
        build = f'substruct.mode={mode} substruct.build={url_of(self.server)}/build/{name}'
        machine = Emulated(
            self.image, folder, self.server, *options, arguments=f'{build} {arguments}', memory=memory
        )  # fmt: skip
        with machine:
            machine.wait(lambda: any(path.startswith(f'/build/{name}/{end}') for path, _ in self.server.posted
                                     for end in ('done', 'failed', 'finishing')))  # fmt: skip
            failed = [body.decode() for path, body in self.server.posted if path == f'/build/{name}/failed']
            assert not failed, failed[0]
            if mode == 'image':
                machine.wait_end(60.0)
        return machine

    def script(self, text: str, *options: str) -> str:
        """Runs on a machine; gives what it printed."""
        name = f's{self.boots}'
        self.server.files[f'/build/{name}/script.sh'] = text.encode()
        self._run('script', name, *options)
        return ''.join(body.decode() for path, body in self.server.posted if path == f'/build/{name}/done')

    def write(self, content: Path, target: Path, *options: str, memory: int = 512) -> str:
        """An image to a machine's disk; gives what the machine showed."""
        name = f'i{self.boots}'
        packed = subprocess.run(['zstd', '-q', '-1', '-c', str(content)], stdout=subprocess.PIPE, check=True).stdout
        self.server.files['/image.zst'] = packed
        for part, text in SEED.items():
            self.server.files[f'/build/{name}/{part}'] = text
        arguments = f'substruct.image={url_of(self.server)}/image.zst substruct.disk=serial=target'
        return self._run(
            'image', name, *disk(target, 'target'), *options, arguments=arguments, memory=memory
        ).shown  # fmt: skip


@pytest.fixture
def site(image: Path, tmp_path: Path, server: Server) -> Site:
    return Site(image, tmp_path, server)


LOOK = """\
set -e
mkdir -p /tmp/look
mount -t {kind} {options} {device} /tmp/look
df -m /tmp/look | tail -n 1
cat /tmp/look/{seed}/user-data /tmp/look/{seed}/meta-data
"""


@pytest.mark.parametrize(('kind', 'make', 'tool'), [('xfs', xfs, 'mkfs.xfs'), ('btrfs', btrfs, 'mkfs.btrfs')])
def test_an_image_with_another_root_is_written_grown_and_seeded(
    kind: str, make: Callable[[Path], Path], tool: str, site: Site, tmp_path: Path
) -> None:
    if shutil.which(tool) is None or shutil.which('sgdisk') is None:
        pytest.skip(f'{tool} or sgdisk is not installed')
    target = empty(tmp_path / 'target', 1024 * MIB)
    shown = site.write(make(tmp_path), target)
    assert f'The root file system is on /dev/vda1 ({kind})' in shown
    # Another boot looks into the disk.
    found = site.script(
        LOOK.format(kind=kind, options='', device='/dev/vda1', seed='var/lib/cloud/seed/nocloud'),
        *disk(target, 'target'),
    )  # fmt: skip
    assert SEED['user-data'].decode() + SEED['meta-data'].decode() in found
    assert int(found.split()[1]) > 900, f'it has all of the disk:\n{found}'


LVM = """\
set -e
echo 'label: gpt' | sfdisk -q /dev/vda
echo 'start=2048, type=lvm' | sfdisk -q --append /dev/vda
udevadm settle
lvm pvcreate -q /dev/vda1
lvm vgcreate -q sys-tem /dev/vda1
lvm lvcreate -q -Wn -L 64M -n root sys-tem
lvm lvcreate -q -Wn -L 48M -n var sys-tem
mkfs.ext4 -q /dev/sys-tem/root
mkfs.ext4 -q /dev/sys-tem/var
mkdir -p /tmp/root
mount /dev/sys-tem/root /tmp/root
mkdir -p /tmp/root/etc /tmp/root/usr/bin /tmp/root/var
echo 'ID=debian' >/tmp/root/etc/os-release
touch /tmp/root/usr/bin/cloud-init
{
    echo '/dev/mapper/sys--tem-root / ext4 defaults 0 1'
    echo '/dev/mapper/sys--tem-var /var ext4 defaults 0 2'
} >/tmp/root/etc/fstab
umount /tmp/root
lvm vgchange -q --activate n
sync
"""


def test_an_image_on_logical_volumes_is_seeded_and_a_disk_with_the_same_volumes_is_left_alone(
    site: Site, tmp_path: Path
) -> None:
    made, target, other = (empty(tmp_path / name, 192 * MIB) for name in ('made', 'target', 'other'))
    site.script(LVM, *disk(made))
    # The other disk is an older copy of the same image, as on a machine whose new disk is the second one.
    shutil.copyfile(made, other)
    before = other.read_bytes()
    shown = site.write(made, target, *disk(other))
    assert 'The root file system is on /dev/sys-tem/root (ext4)' in shown
    assert '/var of the image is on /dev/sys-tem/var (ext4)' in shown
    assert other.read_bytes() == before
    found = site.script(
        'lvm vgchange -q --activate y\n'
        + LOOK.format(kind='ext4', options='', device='/dev/sys-tem/var', seed='lib/cloud/seed/nocloud'),
        *disk(target, 'target'),
    )
    assert SEED['user-data'].decode() + SEED['meta-data'].decode() in found


# ---------------------------------------------------------------------- somebody in front of it


def test_the_rescue_system_has_a_shell_on_the_serial_line_and_on_the_screen(
    image: Path, tmp_path: Path, server: Server
) -> None:
    with Emulated(image, tmp_path, server, arguments='substruct.mode=rescue') as machine:
        machine.wait_for('Press Enter for a shell')
        machine.wait_for('The rescue system is ready')
        machine.type('\r')
        machine.wait_for(r'prospector:~# ')
        machine.type('echo $SUBSTRUCT_SERIAL is $((6 * 7))\r')
        machine.wait_for('SN-0042 is 42')
        machine.wait_for('prospector:~# ')
        # What hangs can be ended.
        machine.type('sleep 1000\r')
        time.sleep(1.0)
        machine.type('\x03')
        machine.wait_for(r'prospector:~# ', 30.0)
        # A lease that is given back and taken anew brings the routes back too.
        machine.type('killall -USR2 udhcpc; sleep 1; ip route; echo none; killall -USR1 udhcpc\r')
        machine.wait_for(r'\nnone')
        machine.type('sleep 6; ip route | grep default; echo end\r')
        assert 'default via 10.0.2.2' in machine.wait_for(r'(?s)echo end.*?\nend', 60.0)
        machine.type('exit\r')
        machine.wait_for('The shell on /dev/ttyS0 has ended')
        # The screen has its own.
        assert 'The rescue system is ready' in machine.screen(tmp_path)
        machine.press('ret')
        machine.wait(lambda: 'prospector:~#' in machine.screen(tmp_path), 60.0)
        machine.press('t', 't', 'y', 'ret')
        machine.wait(lambda: '/dev/tty1' in machine.screen(tmp_path), 60.0)
        machine.press('s', 'l', 'e', 'e', 'p', 'spc', '9', '9', 'ret')
        time.sleep(1.0)
        machine.press('ctrl-c')
        machine.press('e', 'x', 'i', 't', 'ret')
        machine.wait_for('The shell on /dev/tty0 has ended', 60.0)
