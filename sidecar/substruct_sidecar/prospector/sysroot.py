"""Unpacked packages as a file system of their own: which files the image takes out of it, and how its programs are run.

Links are followed within it, never out into the host's own files.
"""

import fnmatch
import os
import platform
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath

from . import cpio, elf
from .errors import BuildError

_DEEPEST = 40


class Sysroot:
    """`libraries` are folders in which the image's loader looks for libraries."""

    def __init__(self, root: Path, architecture: str) -> None:
        self.root = root
        self.architecture = architecture
        self.libraries = [f'/usr/lib/{architecture}-linux-gnu', '/usr/lib', '/usr/lib64']

    def real(self, path: str) -> str:
        """The path without links in it, as seen from inside; '' where it leads nowhere."""
        found, _ = self._walk(path)
        return found

    def exists(self, path: str) -> bool:
        return bool(self.real(path))

    def at(self, path: str) -> Path:
        """Where a path without links in it stands on the host."""
        return self.root / path.lstrip('/')

    def _walk(self, path: str) -> tuple[str, list[str]]:
        """The path without links in it ('' where it leads nowhere), and the links on the way, each without links before
        its last part."""
        rest = [part for part in path.split('/') if part and part != '.'][::-1]
        done: list[str] = []
        links: list[str] = []
        while rest:
            part = rest.pop()
            if part == '..':
                done = done[:-1]
                continue
            here = '/' + '/'.join((*done, part))
            on_host = self.at(here)
            if on_host.is_symlink():
                links.append(here)
                if len(links) > _DEEPEST:
                    return '', links
                target = os.readlink(on_host)
                if target.startswith('/'):
                    done = []
                rest += [part for part in target.split('/') if part and part != '.'][::-1]
                continue
            if not on_host.exists():
                return '', links
            done.append(part)
        return '/' + '/'.join(done), links

    def matching(self, pattern: str) -> list[str]:
        """Paths of files and links for a pattern, all that is below where it is a folder."""
        found: list[str] = []
        for path in sorted(self.root.glob(pattern.lstrip('/'))):
            inside = '/' + str(path.relative_to(self.root))
            if path.is_dir() and not path.is_symlink():
                for folder, names, files in os.walk(path):
                    here = '/' + str(Path(folder).relative_to(self.root))
                    found += [f'{here}/{name}' for name in files]
                    found += [f'{here}/{name}' for name in names if (Path(folder) / name).is_symlink()]
            else:
                found.append(inside)
        return sorted(found)

    # ------------------------------------------------------------------ running its programs

    @property
    def native(self) -> bool:
        """Whether this host can run what is in it."""
        return platform.machine() == self.architecture

    def command(self, program: str, name: str = '') -> list[str]:
        """How to run one of its programs with its own libraries; `name` for programs that go by their name."""
        path = self.real(program)
        if not path:
            raise BuildError(f'{program} is in none of the packages of the recipe.')
        loader = self.loader_of(path)
        if not self.native or not loader:
            raise BuildError(f'{program} of {self.architecture} cannot be run here.')
        return [
            str(self.at(self.real(loader))), '--argv0', name or PurePosixPath(program).name,
            '--library-path', ':'.join(str(self.at(folder)) for folder in self.libraries), str(self.at(path)),
        ]  # fmt: skip

    def loader_of(self, path: str) -> str:
        found = self._linked(path)
        return found.loader if found else ''

    @lru_cache(maxsize=4096)  # noqa: B019 - it lives for one build
    def _linked(self, path: str) -> elf.Linked | None:
        with self.at(path).open('rb') as stream:
            if not elf.is_elf(stream.read(4)):
                return None
            stream.seek(0)
            try:
                return elf.linked(stream.read())
            except elf.NotElf:
                return None

    # ------------------------------------------------------------------ which files

    def gather(self, include: Sequence[str], optional: Sequence[str], without: Sequence[str]) -> 'Gathered':
        """The files for patterns, with the links on the way and the libraries that they need.

        Raises BuildError for a pattern that matches nothing, and for a library that no package has.
        """
        gathered = Gathered(self)
        missing = [pattern for pattern in include if not self.matching(pattern)]
        if missing:
            raise BuildError(
                f'No package has {", ".join(missing)}, which the recipe includes. Add the package that has it '
                f'(apt-file search), or move it to files.optional.'
            )
        for pattern in (*include, *optional):
            found = self.matching(pattern)
            exact = [pattern] if not set(pattern) & set('*?[') else []
            for path in found:
                if path not in exact and any(fnmatch.fnmatchcase(path, name) for name in without):
                    continue
                gathered.add(path)
        return gathered


class Gathered:
    def __init__(self, sysroot: Sysroot) -> None:
        self._sysroot = sysroot
        self.paths: set[str] = set()
        self.links: set[str] = set()

    def add(self, path: str) -> None:
        real, links = self._sysroot._walk(path)
        self.links.update(links)
        if not real:
            # A link into what only a running system has (/proc, /run) is taken as it is.
            if links:
                return
            raise BuildError(f'{path} is in none of the packages of the recipe.')
        if real in self.paths:
            return
        if self._sysroot.at(real).is_dir():
            return
        self.paths.add(real)
        found = self._sysroot._linked(real)
        if found is None:
            return
        if found.loader:
            self.add(found.loader)
        for name in found.needed:
            self.add(self._library(name, real, found))

    def _library(self, name: str, user: str, found: elf.Linked) -> str:
        origin = str(PurePosixPath(user).parent)
        folders = [path.replace('$ORIGIN', origin).replace('${ORIGIN}', origin) for path in found.paths]
        for folder in (*folders, *self._sysroot.libraries):
            path = f'{folder}/{name}'
            if folder and (real := self._sysroot.real(path)):
                other = self._sysroot._linked(real)
                if other is not None and other.machine == found.machine:
                    return path
        raise BuildError(f'{user} needs the library {name}, which is in none of the packages of the recipe.')

    def entries(self) -> Iterator[cpio.Entry]:
        for path in self.links:
            yield cpio.link(path.lstrip('/'), os.readlink(self._sysroot.at(path)))
        for path in self.paths:
            on_host = self._sysroot.at(path)
            yield cpio.file(path.lstrip('/'), on_host, 0o755 if on_host.stat().st_mode & 0o111 else 0o644)
