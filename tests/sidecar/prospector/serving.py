"""A real HTTP server on loopback that behaves as badly as it is told to: broken connections, no ranges, errors."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType


@dataclass
class Server:
    """`files` are served by their path.  `cut` are numbers of bytes after which an answer breaks off, one for each
    answer; `errors` are statuses that are answered first; `ranges` is whether parts can be had; `broken` are paths that
    are never answered well.  `ended`: the build has ended; what it had is gone, and reports are told so."""

    files: dict[str, bytes] = field(default_factory=dict)
    cut: list[int] = field(default_factory=list)
    errors: list[int] = field(default_factory=list)
    ranges: bool = True
    length: bool = True
    etag: str = '"one"'
    broken: set[str] = field(default_factory=set)
    ended: bool = False
    on_post: Callable[[], object] = lambda: None
    asked: list[str] = field(default_factory=list)
    posted: list[tuple[str, bytes]] = field(default_factory=list)
    url: str = ''

    def texts(self, name: str) -> list[str]:
        return [body.decode() for path, body in self.posted if path.endswith(name)]


@contextmanager
def serving() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
            if state.errors:
                self._say(state.errors.pop(0), b'not now')
                return
            state.on_post()
            state.posted.append((self.path, body))
            self._say(200, b'ok', {'X-Substruct-Build': 'ended'} if state.ended else {})

        def _say(self, status: int, body: bytes, headers: Mapping[str, str] = MappingProxyType({})) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            wanted = self.headers.get('Range', '')
            state.asked.append(f'{self.path} {wanted}'.strip())
            if state.errors:
                self._say(state.errors.pop(0), b'not now')
                return
            path = self.path.partition('?')[0]
            whole = state.files.get(path)
            if path in state.broken:
                self._say(503, b'not now')
                return
            if whole is None or (state.ended and path.startswith('/build/')):
                self._say(404, b'not found')
                return
            begin = 0
            same = self.headers.get('If-Range', state.etag) == state.etag
            if wanted and state.ranges and same:
                begin = int(wanted.removeprefix('bytes=').removesuffix('-'))
                self.send_response(206)
                self.send_header('Content-Range', f'bytes {begin}-{len(whole) - 1}/{len(whole)}')
            else:
                self.send_response(200)
            body = whole[begin:]
            if state.length:
                self.send_header('Content-Length', str(len(body)))
            self.send_header('ETag', state.etag)
            self.end_headers()
            self.wfile.write(body[: state.cut.pop(0)] if state.cut else body)

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            pass  # clients that hang up in the middle are what the tests are about

    server = Quiet(('127.0.0.1', 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    state.url = f'http://127.0.0.1:{server.server_address[1]}'
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
