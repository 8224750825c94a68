"""The prospector boots for real in an emulated machine, and tells a boot server what it is."""

import json
import shutil
from pathlib import Path

import jsonschema
import pytest

from lab import prospector
from lab.errors import LabError

from .emulated import MAC, OTHER_MAC, Emulated, Switch, url_of
from .serving import Server
from .test_facts import SCHEMA
from .test_lldp import ARISTA

pytestmark = pytest.mark.skipif(
    shutil.which('qemu-system-x86_64') is None or shutil.which('apt-get') is None,
    reason='qemu-system-x86_64 or apt-get is not installed',
)


@pytest.fixture(scope='module')
def image() -> Path:
    try:
        return prospector.ensure() / 'x86_64'
    except LabError as error:
        pytest.skip(str(error))


def test_a_machine_boots_tells_its_facts_and_waits_for_orders(image: Path, tmp_path: Path, server: Server) -> None:
    server.files['/healthz'] = b'ok'
    server.files['/orders'] = json.dumps(
        {'format_version': 1, 'machine': '', 'action': 'unknown', 'reason': 'It is unknown.', 'wait': True, 'again': 2}
    ).encode()
    (tmp_path / 'disk').write_bytes(b'')
    with (tmp_path / 'disk').open('r+b') as stream:
        stream.truncate(64 << 20)
    switch = Switch()
    machine = Emulated(
        image, tmp_path, server, '-drive', f'file={tmp_path}/disk,format=raw,if=none,id=disk',
        '-device', 'nvme,drive=disk,serial=NVME1', *switch.options,
    )  # fmt: skip
    try:
        machine.wait(lambda: server.texts('/facts') and any(line.startswith('/orders') for line in server.asked))
        # A switch that speaks late is told of all the same.
        machine.wait(
            lambda: switch.speaks(ARISTA) and '"chassis_name": "tor-a.example.net"' in server.texts('/facts')[-1]
        )
        console = machine.console.read_text(errors='replace')
    finally:
        machine.stop()
    facts = json.loads(server.texts('/facts')[0])
    jsonschema.validate(facts, SCHEMA)
    assert facts['identity'] == {
        'uuid': '4c4c4544-0042-3510-8054-b7c04f4d3332',
        'serial': 'SN-0042',
        'macs': [OTHER_MAC, MAC],
    }
    data = facts['data']
    assert data['problems'] == []
    assert data['memory']['total_bytes'] == 512 << 20
    (disk,) = data['disks']
    assert (disk['name'], disk['serial'], disk['transport']) == ('nvme0n1', 'NVME1', 'nvme')
    assert disk['health']['passed'] is True
    card, other = sorted(data['interfaces'], key=lambda card: card['mac'])
    assert (other['mac'], other['driver'], other['boot'], other['in_use']) == (OTHER_MAC, 'e1000', False, False)
    later = {one['mac']: one for one in json.loads(server.texts('/facts')[-1])['data']['interfaces']}
    assert (later[OTHER_MAC]['lldp']['port_id'], later[OTHER_MAC]['lldp']['vlan']) == ('Ethernet7', 8)
    assert later[MAC]['lldp'] is None
    assert (card['mac'], card['driver'], card['boot'], card['in_use']) == (MAC, 'virtio_net', True, True)
    assert card['name'].startswith('en'), 'as an installed system would call it'
    (asked,) = {line for line in server.asked if line.startswith('/orders')}
    assert f'mac={MAC},{OTHER_MAC}&' in asked, 'the card that it booted from comes first'
    # Nothing names the serial line on the command line; it is written all the same.
    assert 'This machine is Acme S1, serial number SN-0042' in console
    assert 'Waiting for orders' in console


ORDERS = {'format_version': 1, 'machine': 'web1', 'action': 'local', 'reason': 'Nothing is to be done.', 'again': 60}


def disk_with_an_old_system(path: Path) -> None:
    with path.open('wb') as stream:
        stream.write(b'OLD!' * (75 << 20))  # 300 MiB


@pytest.mark.e2e_all
def test_all_disks_of_a_machine_are_erased_and_it_says_how(image: Path, tmp_path: Path, server: Server) -> None:
    server.files['/healthz'] = b'ok'
    server.files['/orders'] = json.dumps({**ORDERS, 'wait': False}).encode()
    for name in ('nvme', 'sata', 'stick'):
        disk_with_an_old_system(tmp_path / name)
    drives = [f'file={tmp_path}/{name},format=raw,if=none,id={name}' for name in ('nvme', 'sata', 'stick')]
    machine = Emulated(
        image, tmp_path, server, *(word for drive in drives for word in ('-drive', drive)),
        '-device', 'nvme,drive=nvme,serial=NVME1', '-device', 'ahci,id=ahci', '-device', 'ide-hd,bus=ahci.0,drive=sata',
        '-device', 'qemu-xhci', '-device', 'usb-storage,drive=stick,removable=on', arguments='substruct.mode=wipe',
    )  # fmt: skip
    try:
        machine.wait(lambda: any(line.startswith('/orders') for line in server.asked))
        console = machine.console.read_text(errors='replace')
    finally:
        machine.stop()
    facts = json.loads(server.texts('/facts')[0])
    jsonschema.validate(facts, SCHEMA)
    wiped = {one['path']: one for one in facts['data']['wiped']}
    assert list(wiped) == ['/dev/nvme0n1', '/dev/sda']
    assert all(one['ok'] and not one['failures'] for one in wiped.values())
    assert wiped['/dev/nvme0n1']['methods'][0] == 'NVMe format with user data erase'
    assert 'is not a disk of the machine itself; it is left as it is' in console
    assert 'Rebooting' not in console, 'there is nothing to boot'
    for name in ('nvme', 'sata'):
        content = (tmp_path / name).read_bytes()
        assert not content[: 100 << 20].strip(b'\0'), name
        assert not content[-100 << 20 :].strip(b'\0'), name
    assert (tmp_path / 'stick').read_bytes() == b'OLD!' * (75 << 20)


@pytest.mark.e2e_all
@pytest.mark.parametrize(('ending', 'outcome'), [('exit 0', 'done'), ('no-such-command', 'failed')])
def test_a_script_runs_and_its_end_is_the_end_of_the_build(
    ending: str, outcome: str, image: Path, tmp_path: Path, server: Server
) -> None:
    server.files['/healthz'] = b'ok'
    server.files['/orders'] = json.dumps({**ORDERS, 'wait': True}).encode()
    script = f'lsblk --version; ip -json address show dev lo; curl -s $SUBSTRUCT_URL/healthz; echo; {ending}\n'
    server.files['/build/t0k/script.sh'] = script.encode()
    arguments = f'substruct.mode=script substruct.build={url_of(server)}/build/t0k'
    machine = Emulated(image, tmp_path, server, arguments=arguments)
    try:
        machine.wait(lambda: server.texts(f'/build/t0k/{outcome}'))
    finally:
        machine.stop()
    log = ''.join(server.texts('/build/t0k/log'))
    assert 'lsblk from util-linux' in log
    assert '"local":"127.0.0.1"' in log, 'ip is iproute2’s, not busybox’'
    assert '\nok\n' in log
    if outcome == 'failed':
        assert 'no-such-command: not found' in server.texts('/build/t0k/failed')[0].splitlines()[0]
