"""The process that owns one machine, as a BMC does: it is there while the machine is off, switches it on and off, and
keeps its console.

    python -m lab.rack.bmc <folder of the machine> <socket> <log of the console> <accelerator>

It runs inside the namespace.  On its socket it takes one JSON object a line and gives one back: {"do": "on"} →
{"power": "on", …}, or {"error": "…"}.  When it ends, however that comes, its QEMU ends too.
"""

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.rack import lldp, plain, qemu
from lab.rack.console import Writer
from lab.rack.qmp import Qmp, QmpError
from lab.rack.spec import Spec, decode

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)
# Seconds within which resets are one restart: SeaBIOS resets once more by itself.
SAME_RESTART = 2.0
FIRST: dict[str, qemu.First] = {'pxe': 'network', 'disk': 'disk'}


def die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Bmc:
    def __init__(self, folder: Path, log: Path, accelerator: str) -> None:
        self.folder, self.accelerator = folder, accelerator
        self.spec: Spec = decode((folder / 'spec.json').read_bytes())
        self.console = Writer(folder, log)
        self.errors = folder / 'qemu.log'
        self.next_boot = ''
        self.boots = 0
        self.since = time.time()
        self._qmp: Qmp | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[Any]] = []
        self._switching = asyncio.Lock()
        self._why = ''  # of the machine's last end
        # Started without the ROM that comes before the disk: the next reset is another start.
        self._without_rom = False
        self._order: dict[str, int] = {}
        self._last_reset = 0.0
        self._taking_back: asyncio.TimerHandle | None = None

    # ------------------------------------------------------------------ what is asked

    async def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        name = str(asked.pop('do', ''))
        actions: dict[str, Callable[..., Awaitable[Any]]] = {
            'status': self.status, 'on': self.on, 'off': self.off, 'soft': self.soft, 'cycle': self.cycle,
            'reset': self.reset, 'next-boot': self.choose_next_boot, 'screenshot': self.screenshot,
            'type': self.type, 'qmp': self.qmp,
        }  # fmt: skip
        if name not in actions:
            raise LabError(f'there is no "{name}"; there are {", ".join(actions)}')
        return await actions[name](**asked) or await self.status()

    async def status(self) -> dict[str, Any]:
        return {
            'name': self.spec.name, 'power': 'on' if self.is_on else 'off', 'since': self.since, 'boots': self.boots,
            'next_boot': self.next_boot, 'accelerator': self.accelerator, 'why': self._why,
        }  # fmt: skip

    @property
    def is_on(self) -> bool:
        return self._process is not None

    async def on(self) -> None:
        async with self._switching:
            if not self.is_on:
                await self._start()

    async def off(self) -> None:
        async with self._switching:
            await self._stop('switched off')

    async def cycle(self) -> None:
        async with self._switching:
            await self._stop('power cycle')
            await asyncio.sleep(0.2)
            await self._start()

    async def soft(self) -> None:
        """Asks the system to shut down, as the button does."""
        await self._on_qmp().execute('system_powerdown')
        self._note('asked to shut down')

    async def reset(self) -> None:
        async with self._switching:
            if self._needs_another_start():
                await self._stop('reset')
                await self._start()
            else:
                self._note('reset')
                await self._on_qmp().execute('system_reset')

    async def choose_next_boot(self, device: str) -> None:
        """`pxe` or `disk`, once; '' takes it back."""
        if device not in ('', *FIRST):
            raise LabError(f'"{device}" is no device to boot; there are {", ".join(FIRST)}')
        self.next_boot = device
        if self.is_on:
            await self._set_order(FIRST.get(device, 'network'))

    async def screenshot(self, path: str) -> dict[str, Any]:
        """Into a PNG file."""
        with contextlib.suppress(QmpError):
            await self._on_qmp().execute('screendump', filename=path, format='png')
            return {'path': path}
        # QEMU without libpng.
        beside = f'{path}.ppm'
        await self._on_qmp().execute('screendump', filename=beside)
        from PIL import Image

        with Image.open(beside) as image:
            image.save(path)
        os.unlink(beside)
        return {'path': path}

    async def type(self, text: str) -> None:
        """On the serial console."""
        self._on_qmp()
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(text.encode())
        await self._process.stdin.drain()

    async def qmp(self, execute: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
        return {'return': await self._on_qmp().execute(execute, **(arguments or {}))}

    def _on_qmp(self) -> Qmp:
        if self._qmp is None:
            raise LabError(f'{self.spec.name} is off')
        return self._qmp

    # ------------------------------------------------------------------ the machine

    def _note(self, text: str) -> None:
        self.console.note(text)

    async def _start(self) -> None:
        first = FIRST.get(self.next_boot, 'network')
        filtered = qemu.is_filtered(self.spec)
        pairs = [socket.socketpair() for _ in range(3 if filtered else 1)]
        ours, theirs = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        numbers = [each.fileno() for each in theirs]
        handles = qemu.Handles(*numbers)
        words = qemu.command(self.spec, self.folder, self.accelerator, handles, first)
        self._why = ''
        self._order = qemu.order(self.spec, first)
        self._without_rom = filtered and first == 'disk'
        if self._without_rom:
            words += ['-action', 'reboot=shutdown']
        with self.errors.open('wb') as errors:
            try:
                process = await asyncio.create_subprocess_exec(
                    *words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, pass_fds=numbers,
                    preexec_fn=die_with_parent,
                )  # fmt: skip
            except FileNotFoundError:
                raise LabError(f'there is no {qemu.BINARY}; install the package qemu-system-x86') from None
        for each in theirs:
            each.close()
        self._process = process
        self.boots += 1
        self.since = time.time()
        self.next_boot = ''
        self._note(f'switched on ({self.accelerator}{", disk first" if first == "disk" else ""})')
        self._tasks = [asyncio.create_task(self._read_console(process)), asyncio.create_task(self._ended(process))]
        if filtered:
            self._tasks.append(asyncio.create_task(self._filter(ours[2], ours[1])))
        qmp = Qmp(self._heard)
        try:
            await qmp.open(ours[0])
            self._qmp = qmp
            for number, nic in enumerate(self.spec.nics):
                if nic.network == 'none':
                    await qmp.execute('set_link', name=f'nic{number}', up=False)
            # Taken at the next reset: what was chosen holds once.
            await self._set_order('network')
        except (QmpError, OSError, ValueError) as error:
            self._process, self._qmp = None, None
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise LabError(f'QEMU has not come up for {self.spec.name}: {error}; {self._said()}') from error

    def _said(self) -> str:
        return self.errors.read_text('utf-8', 'replace').strip()[-2000:] or 'it has said nothing'

    async def _set_order(self, first: qemu.First) -> None:
        if self._qmp is None or qemu.is_filtered(self.spec):
            return  # there the ROM comes first in any case
        wanted = qemu.order(self.spec, first)
        different = [name for name, index in wanted.items() if self._order.get(name) != index]
        # No index may be used twice, not even in between; -1 is none.
        for name, index in [*((name, -1) for name in different), *((name, wanted[name]) for name in different)]:
            await self._qmp.execute('qom-set', path=f'/machine/peripheral/{name}', property='bootindex', value=index)
        self._order = wanted

    def _needs_another_start(self) -> bool:
        return self._without_rom or (qemu.is_filtered(self.spec) and self.next_boot == 'disk')

    def _heard(self, event: str, data: dict[str, Any]) -> None:
        if event == 'RESET':
            self._restarted(bool(data.get('guest')))
        elif event == 'SHUTDOWN':
            self._why = str(data.get('reason', ''))

    def _restarted(self, by_itself: bool) -> None:
        now = time.monotonic()
        same, self._last_reset = now - self._last_reset < SAME_RESTART, now
        if not same:
            self.boots += 1
            if by_itself:
                self._note('restarted by itself')
            if self._needs_another_start():
                self._after(self.cycle())
                return
        if self.next_boot:
            # The order was read at this reset; what was chosen held once.
            if self._taking_back is not None:
                self._taking_back.cancel()
            loop = asyncio.get_running_loop()
            self._taking_back = loop.call_later(SAME_RESTART, lambda: self._after(self.choose_next_boot('')))

    def _after(self, work: Awaitable[Any]) -> None:
        self._tasks.append(asyncio.ensure_future(work))

    async def _read_console(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while data := await process.stdout.read(1 << 16):
            self.console.write(data)

    async def _ended(self, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        if self._process is not process:
            return
        again = self._without_rom and self._why == 'guest-reset'
        self._process, self._qmp = None, None
        self.since = time.time()
        if code:
            self._why = f'QEMU ended with {code}: {self._said()}'
        self._note(f'off ({self._why or "ended"})')
        if again:
            await self.on()

    async def _stop(self, why: str) -> None:
        process = self._process
        if process is None:
            return
        self._process, qmp, self._qmp = None, self._qmp, None
        with contextlib.suppress(QmpError, OSError):
            if qmp is not None:
                await qmp.execute('quit', seconds=3)
        try:
            await asyncio.wait_for(process.wait(), 3)
        except TimeoutError:
            process.kill()
            await process.wait()
        self.since, self._why = time.time(), why
        self._note(why)

    # ------------------------------------------------------------------ its network cards

    def plug_in(self) -> None:
        """The other ends of its cards, on the bridges that they belong to."""
        for number, nic in enumerate(self.spec.nics):
            name = qemu.tap(self.spec, number)
            subprocess.run(['ip', 'link', 'delete', name], capture_output=True, check=False)
            bridge = {'boot': 'br0', 'dark': 'br1'}.get(nic.network)
            lines = [
                f'tuntap add dev {name} mode tap', *([f'link set {name} master {bridge}'] if bridge else []),
                f'link set {name} up',
            ]  # fmt: skip
            done = subprocess.run(
                ['ip', '-batch', '-'], input='\n'.join(lines) + '\n', text=True, capture_output=True, check=False
            )
            if done.returncode:
                raise LabError(f'{self.spec.name}: no network card {number}: {done.stderr.strip()}')

    def unplug(self) -> None:
        for number in range(len(self.spec.nics)):
            subprocess.run(['ip', 'link', 'delete', qemu.tap(self.spec, number)], capture_output=True, check=False)

    async def announce(self) -> None:
        """What the switch says on each port, while the machine is on."""
        ports = [(qemu.tap(self.spec, number), nic.port) for number, nic in enumerate(self.spec.nics) if nic.port]
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
            while ports:
                for name, port in ports:
                    with contextlib.suppress(OSError):  # no carrier while the machine is off
                        sender.sendto(lldp.frame(port), (name, 0))
                await asyncio.sleep(3)

    async def _filter(self, out: socket.socket, back: socket.socket) -> None:
        """Frames of the machine on their way out (QEMU: four bytes of length, then the frame)."""
        # Both writers are kept: one that nobody refers to closes its connection.
        reader, ending = await asyncio.open_connection(sock=out)
        _, writer = await asyncio.open_connection(sock=back)
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                length = int.from_bytes(await reader.readexactly(4))
                frame = plain.filtered(await reader.readexactly(length))
                writer.write(len(frame).to_bytes(4) + frame)
                await writer.drain()
        for each in (ending, writer):
            each.close()

    # ------------------------------------------------------------------ serving

    async def serve(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        self.plug_in()
        announcing = asyncio.create_task(self.announce())
        server = await asyncio.start_unix_server(self._client, path)
        await stopping.wait()
        server.close()
        announcing.cancel()
        await self.off()
        self.unplug()
        path.unlink(missing_ok=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while line := await reader.readline():
                try:
                    answer = await self.answer(json.loads(line))
                except (LabError, QmpError, OSError) as error:
                    answer = {'error': str(error)}
                except (ValueError, TypeError) as error:
                    answer = {'error': f'that is no request: {error}'}
                writer.write(json.dumps(answer).encode() + b'\n')
                await writer.drain()
            writer.close()


def main() -> None:
    folder, path, log, accelerator = sys.argv[1:]
    asyncio.run(Bmc(Path(folder), Path(log), accelerator).serve(Path(path)))


if __name__ == '__main__':
    main()
