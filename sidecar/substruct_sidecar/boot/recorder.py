"""Writes to the outbox for a server that must not wait: each message is on disk before its machine is answered.

A thread of its own does the writing, one message after another.  The agent is told that there is something to deliver.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .. import wake
from ..outbox import Message, Outbox, Outcome


class Recorder:
    """For one event loop.  What is awaited raises sqlite3.Error if the message cannot be kept (a full disk)."""

    def __init__(self, outbox: Path, run_folder: Path) -> None:
        self._run_folder = run_folder
        self._thread = ThreadPoolExecutor(1, 'outbox')
        self._outbox = self._thread.submit(Outbox, outbox).result()

    def close(self) -> None:
        self._thread.submit(self._outbox.close).result()
        self._thread.shutdown()

    async def put(self, message: Message) -> bool:
        """False if it had been kept before."""
        return await self._do(lambda: self._outbox.put(message))

    def put_soon(self, message: Message) -> None:
        """Keep a message that nobody waits for; if it cannot be kept it is lost."""
        self._thread.submit(self._outbox.put, message)

    async def put_end(self, message: Message, build: int, digest: str, outcome: Outcome) -> bool:
        return await self._do(lambda: self._outbox.put_end(message, build, digest, outcome))

    async def put_once(self, message: Message, machine: int, action: str) -> bool:
        return await self._do(lambda: self._outbox.put_once(message, machine, action))

    async def _do(self, put: Callable[[], bool]) -> bool:
        def work() -> bool:
            new = put()
            if new:
                wake.send(self._run_folder, 'outbox')
            return new

        # A machine that hangs up does not take back what it said.
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, work))
