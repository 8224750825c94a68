"""A boot server's HTTP process for tests, in a thread of its own, on free ports of loopback, beside a world of desired
state.

    with BootServer(tmp_path) as server:
        srv = server.building('srv-1', mac='02:00:00:00:00:01')
        assert 'echo' in server.script(mac='02:00:00:00:00:01').text
"""

import asyncio
import hashlib
import http.client
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from substruct_sidecar import settings as settings_module
from substruct_sidecar.boot import http as boot_http
from substruct_sidecar.boot.artifacts import ArtifactStore
from substruct_sidecar.boot.files_store import About, FilesStore
from substruct_sidecar.desired import BootFile, Machine
from substruct_sidecar.outbox import Message, Outbox
from substruct_sidecar.state import State
from tests.sidecar.world import World, artifact

SCRIPT = '#!ipxe\nkernel @@substruct:base-url@@/files/{kernel} token=@@substruct:token@@\nboot\n'


@dataclass(frozen=True)
class Answered:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode('utf-8', 'surrogateescape')


class BootServer:
    """`settings` are those of [boot] and [manage], beside addresses and folders."""

    def __init__(
        self, folder: Path, *, boot: dict[str, Any] | None = None, manage: dict[str, Any] | None = None
    ) -> None:
        self.folder = folder / 'state'
        self.run = folder / 'run'
        self.secrets = folder / 'secrets'
        self.loaders = folder / 'loaders'
        for one in (self.folder, self.run, self.secrets, self.loaders):
            one.mkdir(parents=True, exist_ok=True)
        self.world = World(folder)
        self.world.state.close()
        self.world.state = State(self.folder / 'state.db')
        self.outbox = Outbox(self.folder / 'outbox.db')
        self.artifacts = ArtifactStore(self.folder / 'artifacts')
        self.files = FilesStore(self.folder / 'files', self.folder / 'prospector')
        self.files.make()
        self.settings = settings_module.load(self._toml(folder, boot or {}, manage or {}), environment={})
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None
        self._stop = asyncio.Event()
        self.ports: dict[str, int] = {}

    def _toml(self, folder: Path, boot: dict[str, Any], manage: dict[str, Any]) -> Path:
        path = folder / 'sidecar.toml'
        lines = ['[netbox]', 'url = "http://127.0.0.1:1"', 'boot_server = "boot-ber"', '[paths]']
        lines += [f'state = "{self.folder}"', f'run = "{self.run}"', f'loaders = "{self.loaders}"']
        lines += ['[secrets]', f'directory = "{self.secrets}"']
        for name, section in (
            ('boot', {'http': ['127.0.0.1:0'], 'tftp': []} | boot),
            ('manage', {'listen': ['127.0.0.1:0']} | manage),
        ):
            lines += [f'[{name}]', *(f'{key} = {_toml(value)}' for key, value in section.items())]
        path.write_text('\n'.join(lines) + '\n')
        return path

    # ------------------------------------------------------------------ running

    def __enter__(self) -> Self:
        self.world.sync()
        self.start()
        return self

    def start(self) -> None:
        started = threading.Event()
        failed: list[BaseException] = []
        self._stop = asyncio.Event()

        async def serve() -> None:
            async with boot_http.serving(self.settings) as addresses:
                self.ports = {name: found[0][1] for name, found in addresses.items()}
                started.set()
                await self._stop.wait()

        def work() -> None:
            try:
                self._loop.run_until_complete(serve())
            except BaseException as error:
                failed.append(error)
            finally:
                started.set()

        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()
        assert started.wait(20)
        if failed:
            raise failed[0]

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        assert self._thread is not None
        self._thread.join(20)
        assert not self._thread.is_alive()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._loop.close()
        self.world.close()
        self.outbox.close()

    # ------------------------------------------------------------------ what there is

    def file(self, content: bytes, name: str = '') -> str:
        """A boot file in the store; its SHA-256."""
        name = name or hashlib.sha256(content).hexdigest()
        (self.files.partial / name).write_bytes(content)
        self.files.publish(self.files.partial / name, name, About())
        return name

    def artifact(self, number: int, kind: str, name: str, content: str, here: bool = True) -> Any:
        data = content.encode('utf-8', 'surrogateescape')
        digest = hashlib.sha256(data).hexdigest()
        if here:
            self.artifacts.put(digest, data)
        return artifact(number, kind, name, digest)

    def building(self, name: str, *, artifacts: dict[str, tuple[str, str]] | None = None, **values: Any) -> Machine:
        """A machine with a build whose kernel is there.  `artifacts`: kind → (name, content), beside its script."""
        kernel = self.file(b'a kernel')
        image = self.world.add_boot_image(
            f'image of {name}',
            [BootFile(role='kernel', url='http://mirror.example/vmlinuz', sha256=kernel, path=f'files/{kernel}')],
        )
        machine = self.world.add_machine(name, **values)
        all_artifacts = {'ipxe': ('boot.ipxe', SCRIPT.replace('{kernel}', kernel))} | (artifacts or {})
        made = [
            self.artifact(100 * machine.id + number, kind, *found)
            for number, (kind, found) in enumerate(all_artifacts.items())
        ]
        build = self.world.build(
            machine, token=f'{"t" * 30}-{machine.id}', boot_image=image.id, artifacts=made
        )  # fmt: skip
        return self.world.change(machine, build=build)

    def local_prospector(self, architecture: str = 'x86_64') -> None:
        folder = self.folder / 'prospector' / architecture
        folder.mkdir(parents=True)
        (folder / 'vmlinuz').write_bytes(b'prospector kernel')
        (folder / 'initrd.img').write_bytes(b'prospector initrd')

    def messages(self) -> list[Message]:
        """What waits for NetBox, but for machines that were seen."""
        return [found for found in self.all_messages() if found.type != 'seen']

    def all_messages(self) -> list[Message]:
        return [waiting.message for waiting in self.outbox.waiting(10000)]

    def kinds(self) -> list[str]:
        return [message.kind or message.type for message in self.messages()]

    # ------------------------------------------------------------------ asking

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None, at: str = 'boot'
    ) -> Answered:
        connection = http.client.HTTPConnection('127.0.0.1', self.ports[at], timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answered(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def get(self, path: str, headers: dict[str, str] | None = None, at: str = 'boot') -> Answered:
        return self.ask('GET', path, None, headers, at)

    def post(
        self, path: str, body: bytes | str = b'', headers: dict[str, str] | None = None, at: str = 'boot'
    ) -> Answered:
        return self.ask('POST', path, body.encode() if isinstance(body, str) else body, headers, at)

    def script(self, **query: str) -> Answered:
        return self.get(f'/boot.ipxe?{urlencode(query)}')


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return 'true' if value else 'false'
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list):
        return '[' + ', '.join(map(_toml, value)) + ']'
    if isinstance(value, dict):
        return '{' + ', '.join(f'{key} = {_toml(item)}' for key, item in value.items()) + '}'
    return str(value)


def at(srv: Machine, path: str = '') -> str:
    """A path under the token of its build."""
    assert srv.build is not None
    return f'/build/{srv.build.token}/{path}'
