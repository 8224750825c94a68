"""Passes TCP connections between the namespace and the host, over Unix sockets, which both can reach by their path.

    python -m lab.rack.doorway <file that says when it is ready> <pid> <from> <to> [<from> <to> …]

It ends with the process of that id, which keeps the namespace.

Each end is tcp:<address>:<port> or unix:<path>.  One doorway stands on each side:

    sidecar → tcp (inside) → unix → tcp (outside) → NetBox        and the other way for NetBox's webhooks
"""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

from lab.files import write_atomically


async def _connect(end: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    kind, _, rest = end.partition(':')
    if kind == 'unix':
        return await asyncio.open_unix_connection(rest)
    host, _, port = rest.rpartition(':')
    return await asyncio.open_connection(host, int(port))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the end of one direction, which is passed on too."""
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.transport.abort()


async def listen(begin: str, to: str) -> asyncio.Server:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await _connect(to)
        except OSError:
            writer.transport.abort()  # nobody is there: as if nobody had listened here
            return
        await asyncio.gather(_pass_on(reader, far_writer), _pass_on(far_reader, writer))
        for each in (writer, far_writer):
            with contextlib.suppress(OSError):
                each.close()

    kind, _, rest = begin.partition(':')
    if kind == 'unix':
        Path(rest).unlink(missing_ok=True)
        return await asyncio.start_unix_server(serve, rest)
    host, _, port = rest.rpartition(':')
    return await asyncio.start_server(serve, host, int(port))


async def run(ready: Path, keeper: int, routes: list[tuple[str, str]]) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    try:
        loop.add_reader(os.pidfd_open(keeper), stopping.set)
    except ProcessLookupError:
        return
    servers = [await listen(begin, to) for begin, to in routes]
    write_atomically(ready, f'{os.getpid()}\n')
    await stopping.wait()
    for server in servers:
        server.close()


def main() -> None:
    ready, keeper, *ends = sys.argv[1:]
    asyncio.run(run(Path(ready), int(keeper), list(zip(ends[::2], ends[1::2], strict=True))))


if __name__ == '__main__':
    main()
