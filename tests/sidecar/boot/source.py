"""A source of boot files for tests: a real HTTP server that resumes, breaks off and lies as it is told."""

import hashlib
import http.server
import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self


@dataclass
class Held:
    """A file of the source.  `breaks_after`: so many bytes are sent of the next answers, then the connection ends."""

    content: bytes
    etag: str = ''
    modified: str = ''
    ranges: bool = True
    length: bool = True
    status: int = 200
    breaks_after: list[int] = field(default_factory=list)
    hold: threading.Event | None = None


class Source:
    def __init__(self) -> None:
        self.files: dict[str, Held] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self._server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f'http://127.0.0.1:{self._server.server_port}'

    def put(self, name: str, content: bytes, **values: Any) -> str:
        """Its URL."""
        self.files[f'/{name}'] = Held(content, **({'etag': f'"{hashlib.md5(content).hexdigest()}"'} | values))
        return f'{self.url}/{name}'

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={'poll_interval': 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for held in self.files.values():
            if held.hold is not None:
                held.hold.set()
        self._server.shutdown()
        self._server.server_close()


def _handler(source: Source) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            source.asked.append((self.path, headers))
            held = source.files.get(self.path)
            if held is None or held.status >= 400:
                self.send_error(held.status if held else 404)
                return
            if headers.get('if-none-match') == held.etag and held.etag:
                self.send_response(304)
                self.end_headers()
                return
            content, status = held.content, 200
            begins = 0
            wanted = headers.get('range', '')
            condition = headers.get('if-range')
            if wanted and held.ranges and condition in (None, held.etag, held.modified):
                begins = int(wanted.removeprefix('bytes=').rstrip('-'))
                if begins >= len(content):
                    self.send_response(416)
                    self.end_headers()
                    return
                status = 206
            part = content[begins:]
            self.send_response(status)
            if status == 206:
                self.send_header('Content-Range', f'bytes {begins}-{len(content) - 1}/{len(content)}')
            if held.length:
                self.send_header('Content-Length', str(len(part)))
            if held.etag:
                self.send_header('ETag', held.etag)
            if held.modified:
                self.send_header('Last-Modified', held.modified)
            self.end_headers()
            if held.breaks_after:
                part = part[: held.breaks_after.pop(0)]
            if held.hold is not None:
                self.wfile.write(part[: len(part) // 2])
                self.wfile.flush()
                held.hold.wait(20)
                part = part[len(part) // 2 :]
            try:
                self.wfile.write(part)
            except OSError:
                pass

        def log_message(self, *_: object) -> None:
            pass

    return Handler
