"""Fetches one boot file from where NetBox says it is: resumed where it broke off, checked, and published when whole.

What was fetched of a file stays beside the store until it is whole.  It is resumed only if the source says that it is
still the same (If-Range, RFC 9110 section 13.1.5) or if a SHA-256 tells in the end; a file with another SHA-256 than
NetBox has is never published.  Which files, when and how many at once is `files_service`'s business.
"""

import hashlib
import http.client
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, unquote, urlsplit

import msgspec

from ..files import write_atomically
from ..version import __version__
from .files_store import About, FilesStore

CHUNK = 1 << 20
# The disk is looked at again after so many bytes.
_LOOK_AT_DISK = 32 << 20

_CONTENT_RANGE = re.compile(r'bytes (\d+)-(\d+)/(\d+|\*)\Z')


class FetchError(Exception):
    """A file could not be fetched.  The message says why and what to do; the part that came is kept if it can be."""


class Cancelled(Exception):
    """Nobody needs the file any more, or the sidecar stops."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that is to be here.  `sha256` is '' where NetBox does not know it."""

    name: str
    url: str
    sha256: str = ''


@dataclass(frozen=True, slots=True)
class Terms:
    """How files are fetched: seconds of silence, bytes of the disk that stay free, folders for file:// URLs."""

    timeout: float = 60.0
    keep_free: int = 0
    local_sources: Sequence[Path] = ()


# Called with the bytes that are here and the size (0: not known); may raise Cancelled.
type Progress = Callable[[int, int], None]


def fetch(wanted: Wanted, store: FilesStore, terms: Terms, progress: Progress = lambda done, total: None) -> About:
    """Get a file, or what is missing of it, and publish it.  Raises FetchError or Cancelled."""
    transfer = _Transfer(wanted, store, terms, progress)
    try:
        store.make()
        return transfer.run()
    except OSError as error:
        transfer.make_room()
        raise FetchError(_words(error, wanted.url)) from error
    except ValueError as error:
        raise FetchError(f'{wanted.url}: is no URL: {error}.') from error


def revalidate(wanted: Wanted, store: FilesStore, terms: Terms, progress: Progress = lambda done, total: None) -> About:
    """Ask whether a file that is here without a SHA-256 is still what its source has, and fetch it anew if not.

    A source that gives neither ETag nor Last-Modified cannot be asked: what is here stays.
    """
    about = store.about(wanted.name)
    if not about.etag and not about.last_modified:
        return _checked(wanted, store, about)
    try:
        return _Transfer(wanted, store, terms, progress).run(about)
    except (OSError, ValueError) as error:
        raise FetchError(_words(error, wanted.url)) from error


def _checked(wanted: Wanted, store: FilesStore, about: About) -> About:
    about = msgspec.structs.replace(about, checked=time.time())
    store.remember(wanted.name, about)
    return about


class _Transfer:
    def __init__(self, wanted: Wanted, store: FilesStore, terms: Terms, progress: Progress) -> None:
        self._wanted = wanted
        self._store = store
        self._terms = terms
        self._progress = progress
        self._partial = store.partial / wanted.name
        self._beside = store.partial / f'{wanted.name}.about'

    def run(self, had: About | None = None) -> About:
        """`had`: what is here already, if it is only to be asked whether it is still the same."""
        scheme = urlsplit(self._wanted.url).scheme
        if scheme == 'file':
            return self._local()
        if scheme not in ('http', 'https', 'ftp'):
            raise FetchError(f'{self._wanted.url}: only http, https, ftp and file can be fetched.')
        resumed = had is None and self._here() > 0
        try:
            return self._remote(had)
        except _Begin:
            # The part that is here does not fit; once more, without it.
            if not resumed:
                raise FetchError(f'{self._wanted.url}: its server contradicts itself about parts of it.') from None
            self._drop()
            return self._remote(None)

    # ------------------------------------------------------------------ from a server

    def _remote(self, had: About | None) -> About:
        here = self._here() if had is None else 0
        before = self._before() if here else About()
        try:
            request = urllib.request.Request(_on_the_wire(self._wanted.url), headers=self._headers(here, before, had))
            response = _opener().open(request, timeout=self._terms.timeout)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 304 and had is not None:
                return _checked(self._wanted, self._store, had)
            if error.code == 416 and here:
                raise _Begin from None
            raise FetchError(f'{self._wanted.url}: its server answers {error.code} {error.reason}.') from error
        except (urllib.error.URLError, http.client.HTTPException, ValueError) as error:
            raise FetchError(_words(getattr(error, 'reason', error), self._wanted.url)) from error
        with response:
            start, total = self._begins(response, here)
            about = About(
                url=self._wanted.url,
                etag=response.headers.get('ETag', '')[:500],
                last_modified=response.headers.get('Last-Modified', '')[:100],
            )
            write_atomically(self._beside, msgspec.json.encode(about))
            digest, size = self._write(response, start, total)
        return self._finish(about, digest, size, resumed=start > 0, had=had)

    def _headers(self, here: int, before: About, had: About | None) -> dict[str, str]:
        found = {'User-Agent': f'substruct-sidecar/{__version__}', 'Accept-Encoding': 'identity'}
        if had is not None:
            if had.etag:
                found['If-None-Match'] = had.etag
            elif had.last_modified:
                found['If-Modified-Since'] = had.last_modified
        elif here and urlsplit(self._wanted.url).scheme != 'ftp':
            strong = before.etag if not before.etag.startswith('W/') else ''
            condition = strong or before.last_modified
            if condition or self._wanted.sha256:
                found['Range'] = f'bytes={here}-'
            if condition:
                found['If-Range'] = condition
        return found

    def _begins(self, response: Any, here: int) -> tuple[int, int]:
        """(where the answer begins in the file, the whole file's size or 0).  Raises _Begin if it does not fit."""
        length = response.headers.get('Content-Length')
        size = int(length) if length and length.isdigit() else 0
        if getattr(response, 'status', 200) == 206:
            match = _CONTENT_RANGE.match(response.headers.get('Content-Range', ''))
            if match is None or int(match[1]) != here:
                raise _Begin
            return here, int(match[3]) if match[3] != '*' else here + size
        if getattr(response, 'status', 200) not in (200, None):
            raise FetchError(f'{self._wanted.url}: its server answers {response.status}.')
        if not size and not self._wanted.sha256 and not getattr(response, 'chunked', False):
            raise FetchError(
                f'{self._wanted.url}: its server does not say how long it is, and NetBox has no SHA-256, so half of it '
                f'could not be told from all of it. Give the boot image its SHA-256.'
            )
        return 0, size

    def _write(self, source: IO[bytes], start: int, total: int) -> tuple[str, int]:
        """Append to the part that is here from `start`; (SHA-256, size) of the whole."""
        self._enough_room(max(0, total - start))
        hasher = hashlib.sha256()
        with open(self._partial, 'r+b' if start else 'wb') as target:
            done = 0
            while done < start:
                chunk = target.read(min(CHUNK, start - done))
                hasher.update(chunk)
                done += len(chunk)
            target.truncate(start)
            looked = done
            try:
                while chunk := source.read(CHUNK):
                    target.write(chunk)
                    hasher.update(chunk)
                    done += len(chunk)
                    self._progress(done, total)
                    if done - looked > _LOOK_AT_DISK:
                        target.flush()
                        self._enough_room(0)
                        looked = done
            except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
                raise FetchError(
                    f'{self._wanted.url}: broke off after {done} bytes ({_reason(error)}); it is resumed.'
                ) from error
        if total and done != total:
            raise FetchError(f'{self._wanted.url}: broke off after {done} of {total} bytes; it is resumed.')
        return hasher.hexdigest(), done

    # ------------------------------------------------------------------ from a folder

    def _local(self) -> About:
        """A file:// URL, only below folders that the settings name: NetBox must not have any file here served."""
        parts = urlsplit(self._wanted.url)
        if parts.netloc not in ('', 'localhost'):
            raise FetchError(f'{self._wanted.url}: is on another host; write file:///path.')
        path = Path(os.path.realpath(unquote(parts.path)))
        if not any(path.is_relative_to(os.path.realpath(folder)) for folder in self._terms.local_sources):
            raise FetchError(
                f'{self._wanted.url}: is below none of the folders in boot.local_sources. Add its folder there, or '
                f'give a http URL.'
            )
        self._drop()
        with open(path, 'rb') as source:
            found = os.fstat(source.fileno())
            about = About(url=self._wanted.url, last_modified=str(found.st_mtime_ns))
            had = self._store.about(self._wanted.name)
            if self._store.has(self._wanted.name) and had.last_modified == about.last_modified:
                return _checked(self._wanted, self._store, had)
            digest, size = self._write(source, 0, found.st_size)
        return self._finish(about, digest, size, resumed=False, had=None)

    # ------------------------------------------------------------------ the end

    def _finish(self, about: About, digest: str, size: int, *, resumed: bool, had: About | None) -> About:
        if self._wanted.sha256 and digest != self._wanted.sha256:
            if resumed:
                raise _Begin
            self._drop()
            raise FetchError(
                f'{self._wanted.url}: has SHA-256 {digest}, but NetBox says {self._wanted.sha256}. The source has '
                f'changed or is damaged; correct the boot image, or the source.'
            )
        about = msgspec.structs.replace(about, sha256=digest, size=size, checked=time.time())
        if had is not None and had.sha256 == digest:
            # Another date, the same content: machines that are reading it are left in peace.
            self._drop()
            self._store.remember(self._wanted.name, about)
            return about
        self._store.publish(self._partial, self._wanted.name, about)
        self._beside.unlink(missing_ok=True)
        return about

    def _here(self) -> int:
        try:
            return self._partial.stat().st_size
        except FileNotFoundError:
            return 0

    def _before(self) -> About:
        """What the source said when the part that is here was begun."""
        try:
            found = msgspec.json.decode(self._beside.read_bytes(), type=About)
        except (OSError, msgspec.DecodeError):
            return About()
        return found if found.url == self._wanted.url else About()

    def _drop(self) -> None:
        self._partial.unlink(missing_ok=True)
        self._beside.unlink(missing_ok=True)

    def _enough_room(self, more: int) -> None:
        free = shutil.disk_usage(self._store.folder).free
        if free - more < self._terms.keep_free:
            self.make_room()
            raise FetchError(
                f'{self._wanted.url}: there is no room for it: {free >> 20} MiB are free in {self._store.folder}, it '
                f'needs {more >> 20} MiB more, and {self._terms.keep_free >> 20} MiB (boot.keep_free) stay free. Make '
                f'room, or remove boot images from NetBox.'
            )

    def make_room(self) -> None:
        """A part of a file must not be what fills the disk: the outbox and the state need room too."""
        with suppress(FileNotFoundError, NotADirectoryError):  # not even its folder could be made
            if shutil.disk_usage(self._store.folder).free < self._terms.keep_free:
                self._drop()


class _Begin(Exception):
    """Begin anew, without the part that is here."""


def _opener() -> urllib.request.OpenerDirector:
    """http, https and ftp, by the proxies that the environment names; redirects never lead to file://."""
    return urllib.request.build_opener(urllib.request.ProxyHandler())


def _on_the_wire(url: str) -> str:
    """A URL as people write it, as it is sent: what is no ASCII is percent-encoded (RFC 3987 section 3.1)."""
    parts = urlsplit(url)
    host = parts.netloc.encode('idna').decode() if not parts.netloc.isascii() else parts.netloc
    path, query = (quote(part, safe="%/:=&?~+!$,;'@()*[]") for part in (parts.path, parts.query))
    return parts._replace(netloc=host, path=path, query=query, fragment='').geturl()


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _words(error: Any, url: str) -> str:
    if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
        return f'{url}: {error.strerror}: {error.filename}'
    return f'{url}: {_reason(error) if isinstance(error, BaseException) else error}.'
