"""Files that machines fetch without a token: boot files, boot loaders, the prospector.

GET  /files/<name>, /loaders/<name>, /prospector/<architecture>/<name>
"""

from aiohttp import web

from . import answers
from .files_store import FilesStore
from .front import Front
from .loaders import Loaders, clean, made
from .underway import Steps


class Files:
    """The routes, for one event loop."""

    def __init__(self, front: Front, files: FilesStore, steps: Steps) -> None:
        self._front = front
        self._files = files
        self._steps = steps
        self._loaders = Loaders.of(front.settings)

    def routes(self) -> list[web.RouteDef]:
        get = self._front.get
        return [
            get('/files/{name}', 'file', self.file),
            get('/loaders/{name:.+}', 'loader', self.loader),
            get('/prospector/{architecture}/{name}', 'prospector', self.prospector),
        ]

    async def file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info['name']
        opened = self._files.open(name)
        if opened is None:
            return answers.text('not found\n', 404)
        await self._steps.file(self._front.address(request), name)
        prefix = self._front.settings.boot.accel_redirect
        if prefix and self._front.comes_from_a_proxy(request):
            opened.stream.close()
            return web.Response(headers={
                'X-Accel-Redirect': f'{prefix.rstrip("/")}/{name}', 'Content-Type': 'application/octet-stream',
            })  # fmt: skip
        return answers.FileAnswer(opened)

    async def loader(self, request: web.Request) -> web.StreamResponse:
        """A loader of the distribution's packages, or one of the small files that lead a loader here."""
        name = clean(request.match_info['name']) or ''
        address = self._front.address(request)
        if (opened := self._loaders.opened(name)) is not None:
            if request.method != 'HEAD':
                await self._steps.loader(address, name)
            return answers.FileAnswer(opened)
        leading = made(name, self._front.base_url(address))
        return answers.text(leading.decode()) if leading is not None else answers.text('not found\n', 404)

    async def prospector(self, request: web.Request) -> web.StreamResponse:
        path = f'{request.match_info["architecture"]}/{request.match_info["name"]}'
        opened = self._files.open_prospector(path)
        if opened is None:
            return answers.text('not found\n', 404)
        await self._steps.file(self._front.address(request), path)
        return answers.FileAnswer(opened)
