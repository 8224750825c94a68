"""As much of QEMU's machine protocol as is used: commands with answers, and events (docs/interop/qmp-spec.txt)."""

import asyncio
import contextlib
import itertools
import json
import socket
from collections.abc import Callable
from typing import Any


class QmpError(Exception):
    """QEMU has refused a command, or is no more."""


class Qmp:
    """One connection.  `heard` is called with the name and the data of every event."""

    def __init__(self, heard: Callable[[str, dict[str, Any]], object]) -> None:
        self._heard = heard
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self, connection: socket.socket) -> None:
        reader, self._writer = await asyncio.open_connection(sock=connection, limit=1 << 22)
        await reader.readline()  # the greeting
        self._task = asyncio.create_task(self._read(reader))
        await self.execute('qmp_capabilities')

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            while line := await reader.readline():
                said = json.loads(line)
                if 'event' in said:
                    self._heard(said['event'], said.get('data', {}))
                    continue
                answer = self._waiting.pop(said.get('id', 0), None)
                if answer is None or answer.done():
                    continue
                if 'error' in said:
                    answer.set_exception(QmpError(said['error'].get('desc', 'no reason given')))
                else:
                    answer.set_result(said['return'])
        for left in self._waiting.values():
            if not left.done():
                left.set_exception(QmpError('QEMU has ended'))
        self._waiting.clear()

    async def execute(self, command: str, seconds: float = 20.0, **arguments: Any) -> Any:
        """Raises QmpError."""
        if self._writer is None or (self._task is not None and self._task.done()):
            raise QmpError('QEMU has ended')
        number = next(self._numbers)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        asked = {'execute': command, 'id': number, **({'arguments': arguments} if arguments else {})}
        self._writer.write(json.dumps(asked).encode() + b'\n')
        try:
            return await asyncio.wait_for(answer, seconds)
        except TimeoutError:
            raise QmpError(f'QEMU has not answered {command} within {seconds:.0f} s') from None
        finally:
            self._waiting.pop(number, None)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
