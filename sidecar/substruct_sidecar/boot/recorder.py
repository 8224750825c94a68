"""Writes to the outbox for a server that must not wait: each message is on disk before its machine is answered.

A thread of its own does the writing.  What came while it wrote goes to the disk together: a hundred machines that
report at once cost a few transactions.  The agent is told that there is something to deliver.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from .. import wake
from ..outbox import Message, Outbox, Outcome

log: Any = structlog.get_logger('http')

# Messages that nobody waits for: more than so many between two writes are lost.
MOST_LATER = 20_000


class Recorder:
    """For one event loop.  What is awaited raises sqlite3.Error if the message cannot be kept (a full disk)."""

    def __init__(self, outbox: Path, run_folder: Path) -> None:
        self._run_folder = run_folder
        self._thread = ThreadPoolExecutor(1, 'outbox')
        self._outbox = self._thread.submit(Outbox, outbox).result()
        self._waiting: list[tuple[Message, asyncio.Future[bool]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._later: list[Message] = []

    def close(self) -> None:
        self._thread.submit(self._keep_later, self._later).result()
        self._thread.submit(self._outbox.close).result()
        self._thread.shutdown()

    async def put(self, message: Message) -> bool:
        """False if it had been kept before."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((message, future))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        return await future

    async def put_end(self, message: Message, build: int, digest: str, outcome: Outcome) -> bool:
        return await self._do(lambda: self._outbox.put_end(message, build, digest, outcome))

    async def put_written(self, message: Message, build: int, digest: str) -> bool:
        return await self._do(lambda: self._outbox.put_written(message, build, digest))

    async def put_once(self, message: Message, machine: int, action: str) -> bool:
        return await self._do(lambda: self._outbox.put_once(message, machine, action))

    def put_later(self, message: Message) -> None:
        """Keep a message that nobody waits for, with the next `flush`; if it cannot be kept it is lost."""
        if len(self._later) < MOST_LATER:
            self._later.append(message)

    async def flush(self) -> None:
        """Write what was put for later."""
        messages, self._later = self._later, []
        if messages:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._keep_later, messages)

    def _keep_later(self, messages: list[Message]) -> None:
        try:
            if any(self._outbox.put_all(messages)):
                wake.send(self._run_folder, 'outbox')
        except sqlite3.Error as error:
            log.warning('not kept', messages=len(messages), reason=str(error))

    async def _write(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                try:
                    found = await self._do(partial(self._keep, [message for message, _ in batch]))
                except Exception as error:  # whatever it was: nobody who waits for an answer is left without one
                    found = [error] * len(batch)
                for (_, future), kept in zip(batch, found, strict=True):
                    if future.done():
                        continue  # the machine has hung up; what it said is kept all the same
                    if isinstance(kept, BaseException):
                        future.set_exception(kept)
                    else:
                        future.set_result(kept)
        finally:
            self._writing = None

    def _keep(self, messages: list[Message]) -> list[bool | Exception]:
        """All together, or, if that fails, each by itself: one message must not cost another."""
        try:
            return list(self._outbox.put_all(messages))
        except Exception as error:  # each machine is answered with what happened to its own message
            return [error] if len(messages) == 1 else [self._keep([message])[0] for message in messages]

    async def _do[T](self, put: Callable[[], T]) -> T:
        def work() -> T:
            found = put()
            if found:
                wake.send(self._run_folder, 'outbox')
            return found

        # A machine that hangs up does not take back what it said.
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, work))
