"""A real iPXE, in QEMU with a network of its own: it waits for its kernel, goes on, and fetches it."""

import re
import shutil
import subprocess
import time
from pathlib import Path

import msgspec
import pytest

from tests.sidecar.boot.serving import BootServer

QEMU = shutil.which('qemu-system-x86_64')
MAC = '52:54:00:12:34:56'

pytestmark = pytest.mark.skipif(
    QEMU is None or not Path('/usr/lib/ipxe/qemu').exists(), reason='qemu-system-x86 and ipxe-qemu are not installed'
)


def test_a_machine_waits_for_its_kernel_and_then_fetches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('substruct_sidecar.boot.scripts.AGAIN', 1)
    with BootServer(tmp_path) as server:
        port = server.ports['boot']
        # 10.0.2.2 is this host, seen from QEMU's network.
        url = f'http://10.0.2.2:{port}'
        server.world.boot_server = msgspec.structs.replace(server.world.boot_server, base_url=url)
        server.building('srv "1" ${net0/mac} || reboot', mac=MAC)
        server.world.sync()
        (name,) = server.files.names()
        kept = (server.files.folder / name).read_bytes()
        server.files.remove(name)
        screen = tmp_path / 'screen'
        assert QEMU is not None
        # QEMU's DHCP has room for 127 characters.
        bootfile = f'{url}/boot.ipxe/${{netX/mac:hexhyp}}?uuid=${{uuid}}&arch=${{buildarch}}'
        machine = subprocess.Popen(
            [QEMU, '-M', 'pc', '-m', '64', '-nographic', '-no-reboot', '-netdev', f'user,id=n,bootfile={bootfile}',
             '-device', f'virtio-net-pci,netdev=n,mac={MAC},bootindex=1'],
            stdin=subprocess.DEVNULL, stdout=screen.open('wb'), stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            until(lambda: 'waits: the boot server is still fetching' in seen(screen), screen)
            assert server.messages() == []
            server.file(kept)
            until(lambda: 'kernel-fetched' in server.kinds(), screen)
            assert 'Substruct: srv _1_ __net0/mac_ __ reboot boots build' in seen(screen)
            assert server.kinds() == ['script-fetched', 'kernel-fetched']
        finally:
            machine.kill()
            machine.wait()


def seen(screen: Path) -> str:
    """The console, without what moves the cursor and without the ends of its lines."""
    text = re.sub(r'\x1b\[[0-9;?]*[A-Za-z]', '', screen.read_bytes().decode('latin-1'))
    return text.replace('\r', '').replace('\n', '')


def until(condition, screen: Path, seconds: float = 90) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, seen(screen)[-2000:]
        time.sleep(0.1)
