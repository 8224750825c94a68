"""A machine in QEMU that starts the prospector at once, without firmware that boots from a network: for tests of what
the prospector itself does.  Its network is QEMU's own, which needs no rights; a test may stand in its cable (`Wire`).
"""

import json
import re
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .serving import Server

MAC, OTHER_MAC = '52:54:00:12:34:56', '52:54:00:12:34:99'
# Seconds; what is slow here is the emulation, and whoever else uses the machine.
PATIENCE = 420.0


class Emulated:
    """`memory` in MiB; `options` go to QEMU as they are, `arguments` to the kernel.  Without `running` it stands still
    until it is told to (`qmp('cont')`)."""

    def __init__(
        self, image: Path, folder: Path, server: Server, *options: str, arguments: str = '', memory: int = 512,
        running: bool = True,
    ) -> None:  # fmt: skip
        self.console = folder / 'console.log'
        self.console.unlink(missing_ok=True)
        self._serial, self._control = folder / 'serial', folder / 'qmp'
        self._read = 0
        self.process = subprocess.Popen(
            ['qemu-system-x86_64', '-accel', 'tcg', '-m', str(memory), '-display', 'none', '-no-reboot',
             '-kernel', str(image / 'vmlinuz'), '-initrd', str(image / 'initrd.img'),
             '-append', f'substruct.url={url_of(server)} BOOTIF=01-{MAC.replace(":", "-")} {arguments}',
             '-chardev', f'socket,id=line,path={self._serial},server=on,wait=off,logfile={self.console}',
             '-serial', 'chardev:line', '-qmp', f'unix:{self._control},server=on,wait=off',
             '-netdev', 'user,id=net', '-device', f'virtio-net-pci,netdev=net,mac={MAC},id=card',
             '-smbios', 'type=1,manufacturer=Acme,product=S1,serial=SN-0042,uuid=4c4c4544-0042-3510-8054-b7c04f4d3332',
             *(() if running else ('-S',)), *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def __enter__(self) -> 'Emulated':
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def shown(self) -> str:
        """All that it has said on its serial console."""
        return self.console.read_text(errors='replace') if self.console.exists() else ''

    def wait(self, there: Callable[[], Any], seconds: float = PATIENCE) -> None:
        deadline = time.monotonic() + seconds
        while not there():
            ended = self.process.poll() is not None
            assert not ended or there(), f'the machine has ended; it showed:\n{self.shown[-3000:]}'
            assert time.monotonic() < deadline, f'too slow; the machine shows:\n{self.shown[-3000:]}'
            time.sleep(0.1)

    def wait_end(self, seconds: float = PATIENCE) -> None:
        """Until it reboots or is switched off, which is the end of it."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f'it does not end; it shows:\n{self.shown[-3000:]}') from None

    def wait_for(self, pattern: str, seconds: float = PATIENCE) -> str:
        """Something on the serial console that was not waited for before."""

        def found() -> 're.Match[str] | None':
            return re.search(pattern, self.shown[self._read :])

        self.wait(found, seconds)
        match = found()
        assert match is not None
        self._read += match.end()
        return match[0]

    def type(self, text: str) -> None:
        """On its serial console."""
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(self._serial))
            for letter in text.encode():
                line.sendall(bytes((letter,)))
                time.sleep(0.02)  # a serial port holds few characters
            time.sleep(0.3)

    def qmp(self, execute: str, **arguments: Any) -> Any:
        """A command of QEMU's machine protocol."""
        self.wait(self._control.exists, 30.0)
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(30.0)
            control.connect(str(self._control))
            with control.makefile('rwb') as lines:
                lines.readline()
                for command in ({'execute': 'qmp_capabilities'}, {'execute': execute, 'arguments': arguments}):
                    lines.write(json.dumps(command).encode() + b'\n')
                    lines.flush()
                    while 'event' in (answer := json.loads(lines.readline())):
                        pass
        assert 'return' in answer, answer
        return answer['return']

    def press(self, *keys: str) -> None:
        """On its keyboard, by QEMU's names of keys; `ctrl-c` are two at once."""
        for key in keys:
            self.qmp('send-key', keys=[{'type': 'qcode', 'data': part} for part in key.split('-')])
            time.sleep(0.1)

    def screen(self, folder: Path) -> str:
        """What stands on its screen, which is in text mode."""
        path = folder / 'screen'
        self.qmp('human-monitor-command', **{'command-line': f'pmemsave 0xb8000 0x8000 "{path}"'})
        cells = path.read_bytes()[::2]
        rows = [cells[at : at + 80].decode('cp437').rstrip() for at in range(0, len(cells), 80)]
        return '\n'.join(row for row in rows if row.strip('\0 '))

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def url_of(server: Server) -> str:
    """As the machine reaches it."""
    return f'http://10.0.2.2:{server.url.rpartition(":")[2]}'


def disk(path: Path, name: str = '', kind: str = 'virtio-blk-pci') -> tuple[str, ...]:
    """QEMU's options for a disk that is a file."""
    name = name or path.name
    return (
        '-drive', f'file={path},format=raw,if=none,id={name},cache=unsafe',
        '-device', f'{kind},drive={name},serial={name}',
    )  # fmt: skip


class Switch:
    """The other end of a second card's cable: frames in datagrams."""

    def __init__(self) -> None:
        self._line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._line.bind(('127.0.0.1', 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(('127.0.0.1', 0))
            self._machine = free.getsockname()
        here, there = self._line.getsockname()[1], self._machine[1]
        self.options = (
            '-netdev', f'socket,id=other,udp=127.0.0.1:{here},localaddr=127.0.0.1:{there}',
            '-device', f'e1000,netdev=other,mac={OTHER_MAC}',
        )  # fmt: skip

    def speaks(self, frame: bytes) -> bool:
        self._line.sendto(frame, self._machine)
        return True


class Wire:
    """A switch port in the cable of the first card.  `up` is given what the machine sends, `down` what comes to it, and
    both say what goes on, None for nothing."""

    def __init__(
        self, folder: Path, up: Callable[[bytes], bytes | None], down: Callable[[bytes], bytes | None]
    ) -> None:  # fmt: skip
        ways: Sequence[tuple[str, str, Callable[[bytes], bytes | None]]] = (('up', 'rx', up), ('down', 'tx', down))
        self.options: tuple[str, ...] = ()
        self._into: dict[str, socket.socket] = {}
        for name, queue, change in ways:
            doors = []
            for side in ('out', 'in'):
                path = folder / f'{name}-{side}'
                door = socket.socket(socket.AF_UNIX)
                door.bind(str(path))
                door.listen(1)
                doors.append(door)
                self.options += ('-chardev', f'socket,id={name}-{side},path={path}')
            filtered = f'netdev=net,queue={queue},outdev={name}-out,indev={name}-in'
            self.options += ('-object', f'filter-redirector,id=wire-{name},{filtered}')
            threading.Thread(target=self._carry, args=(name, *doors, change), daemon=True).start()

    def to_machine(self, frame: bytes) -> None:
        """Something that the switch itself says."""
        if door := self._into.get('down'):
            door.sendall(struct.pack('!I', len(frame)) + frame)

    def _carry(
        self, name: str, out: socket.socket, into: socket.socket, change: Callable[[bytes], bytes | None]
    ) -> None:
        with out.accept()[0] as source, into.accept()[0] as target:
            self._into[name] = target
            with source.makefile('rb') as frames:
                while header := frames.read(4):
                    changed = change(frames.read(int(struct.unpack('!I', header)[0])))
                    if changed is not None:
                        target.sendall(struct.pack('!I', len(changed)) + changed)
