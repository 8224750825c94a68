"""What somebody would put on a shelf to boot machines by hand: a plain web server with a script, files, and no memory.

    python by_hand.py ADDRESS PORT FOLDER

Serves the files of a folder, takes every POST, and prints its time and path.
"""

import functools
import sys
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer


class Shelf(SimpleHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_POST(self) -> None:
        left = int(self.headers.get('Content-Length') or 0)
        while left > 0 and (part := self.rfile.read(min(left, 1 << 20))):
            left -= len(part)
        print(f'{time.time():.3f} {self.path}', flush=True)
        self.send_response(200)
        self.send_header('Content-Length', '0')
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    address, port, folder = sys.argv[1:]
    handler = functools.partial(Shelf, directory=folder)
    with ThreadingHTTPServer((address, int(port)), handler) as server:
        print('ready', flush=True)
        server.serve_forever()


if __name__ == '__main__':
    main()
