"""The prospector boots for real in an emulated machine, and tells a boot server what it is."""

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from lab import prospector
from lab.errors import LabError

from .serving import Server
from .test_facts import SCHEMA

pytestmark = pytest.mark.skipif(
    shutil.which('qemu-system-x86_64') is None or shutil.which('apt-get') is None,
    reason='qemu-system-x86_64 or apt-get is not installed',
)

MAC = '52:54:00:12:34:56'
# Seconds; what is slow here is the emulation, and whoever else uses the machine.
PATIENCE = 240.0


@pytest.fixture(scope='module')
def image() -> Path:
    try:
        return prospector.ensure() / 'x86_64'
    except LabError as error:
        pytest.skip(str(error))


class Emulated:
    def __init__(self, image: Path, folder: Path, server: Server, *options: str, arguments: str = '') -> None:
        self.console = folder / 'console.log'
        port = server.url.rpartition(':')[2]
        self.process = subprocess.Popen(
            ['qemu-system-x86_64', '-accel', 'tcg', '-m', '512', '-display', 'none', '-no-reboot',
             '-kernel', str(image / 'vmlinuz'), '-initrd', str(image / 'initrd.img'),
             '-append', f'substruct.url=http://10.0.2.2:{port} BOOTIF=01-{MAC.replace(":", "-")} {arguments}',
             '-serial', f'file:{self.console}', '-netdev', 'user,id=net',
             '-device', f'virtio-net-pci,netdev=net,mac={MAC}',
             '-smbios', 'type=1,manufacturer=Acme,product=S1,serial=SN-0042,uuid=4c4c4544-0042-3510-8054-b7c04f4d3332',
             *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def wait(self, there: Any) -> None:
        deadline = time.monotonic() + PATIENCE
        while not there():
            shown = self.console.read_text(errors='replace')[-3000:] if self.console.exists() else 'nothing'
            assert self.process.poll() is None, f'the machine has ended; it showed:\n{shown}'
            assert time.monotonic() < deadline, f'too slow; the machine shows:\n{shown}'
            time.sleep(0.1)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def test_a_machine_boots_tells_its_facts_and_waits_for_orders(image: Path, tmp_path: Path, server: Server) -> None:
    server.files['/healthz'] = b'ok'
    server.files['/orders'] = json.dumps(
        {'format_version': 1, 'machine': '', 'action': 'unknown', 'reason': 'It is unknown.', 'wait': True, 'again': 60}
    ).encode()
    (tmp_path / 'disk').write_bytes(b'')
    with (tmp_path / 'disk').open('r+b') as stream:
        stream.truncate(64 << 20)
    machine = Emulated(
        image, tmp_path, server, '-drive', f'file={tmp_path}/disk,format=raw,if=none,id=disk',
        '-device', 'nvme,drive=disk,serial=NVME1',
    )  # fmt: skip
    try:
        machine.wait(lambda: server.texts('/facts') and any(line.startswith('/orders') for line in server.asked))
        console = machine.console.read_text(errors='replace')
    finally:
        machine.stop()
    facts = json.loads(server.texts('/facts')[0])
    jsonschema.validate(facts, SCHEMA)
    assert facts['identity'] == {'uuid': '4c4c4544-0042-3510-8054-b7c04f4d3332', 'serial': 'SN-0042', 'macs': [MAC]}
    data = facts['data']
    assert data['problems'] == []
    assert data['memory']['total_bytes'] == 512 << 20
    (disk,) = data['disks']
    assert (disk['name'], disk['serial'], disk['transport']) == ('nvme0n1', 'NVME1', 'nvme')
    assert disk['health']['passed'] is True
    (card,) = data['interfaces']
    assert (card['mac'], card['driver'], card['boot'], card['in_use']) == (MAC, 'virtio_net', True, True)
    assert card['name'].startswith('en'), 'as an installed system would call it'
    (asked,) = {line for line in server.asked if line.startswith('/orders')}
    assert f'mac={MAC}&' in asked
    # Nothing names the serial line on the command line; it is written all the same.
    assert 'This machine is Acme S1, serial number SN-0042' in console
    assert 'Waiting for orders' in console
