"""The configuration that somebody wrote by hand, which is only read, and dnsmasq's own checker over it and ours.

What reads what is followed as dnsmasq does it (man page, --conf-file and --conf-dir): to see whether our folder is
among it, and to make a copy in which the configuration to be tried stands in place of ours.
"""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import dnsmasq_syntax as syntax
from .dnsmasq_syntax import Block

_REFUSED = re.compile(r'dnsmasq: (?P<words>.*) at line (?P<line>[0-9]+) of (?P<file>\S+)')

_PREFIX = 'dnsmasq-check-'

# Seconds that reading everything may take.
LONGEST = 600.0

# How deep files may read files; dnsmasq itself has no such limit.
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class Refusal:
    """What dnsmasq does not take, in its words.  `source` is conf, options or hosts with the key of the block that the
    line stands in; hand-written; or '' where dnsmasq does not say.  Not `asked`: nobody knows."""

    words: str
    key: str = ''
    source: str = ''
    asked: bool = True


class Checker:
    """dnsmasq --test, with files in folders below `run` (or where the system has such, if it is not there)."""

    def __init__(self, binary: str, run: Path) -> None:
        self._binary = binary
        self._run = run

    def refusal(
        self,
        hand_written: Path,
        ours: Path,
        conf: Iterable[Block] = (),
        options: Iterable[Block] = (),
        hosts: Iterable[Block] = (),
    ) -> Refusal | None:
        """The first thing that dnsmasq does not take, None if there is none.

        --test reads neither hosts nor options files, so their lines are put into the configuration, where the same
        parser reads them.  The hand-written part comes first, as in life, but without what it reads in the folder
        `ours`: of two hosts with one address dnsmasq refuses the later.
        """
        texts = {
            'conf': syntax.written(conf),
            'options': syntax.written(_prefixed(options, 'dhcp-option=')),
            'hosts': syntax.written(_prefixed(hosts, 'dhcp-host=')),
        }
        try:
            self._sweep()
            where = self._run if self._run.is_dir() else None
            with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=where) as name:
                return self._asked(Path(name), hand_written, ours, texts)
        except (OSError, subprocess.SubprocessError) as error:
            return Refusal(f'it could not be asked: {words_of(error)}', asked=False)

    def _sweep(self) -> None:
        """What a killed sidecar has left."""
        for path in self._run.glob(f'{_PREFIX}*'):
            if time.time() - path.stat().st_mtime > 2 * LONGEST:
                shutil.rmtree(path, ignore_errors=True)

    def _asked(self, folder: Path, hand_written: Path, ours: Path, texts: Mapping[str, str]) -> Refusal | None:
        sources: dict[str, str] = {}
        rows: list[str] = []
        hand = _without(hand_written, ours, folder)
        if hand is not None:
            rows.append(f'conf-file={hand}')
        for source, text in texts.items():
            path = folder / f'{source}.part'
            path.write_text(text, 'utf-8', 'surrogateescape')
            sources[str(path)] = source
            rows.append(f'conf-file={path}')
        main = folder / 'main.conf'
        main.write_text('\n'.join([*rows, '']))
        done = subprocess.run(
            [self._binary, '--test', '-C', str(main)], stdin=subprocess.DEVNULL, capture_output=True, check=False,
            timeout=LONGEST, encoding='utf-8', errors='replace', env={**os.environ, 'LC_ALL': 'C'},
        )  # fmt: skip
        if done.returncode == 0:
            return None
        said = done.stderr.strip() or f'dnsmasq: it ended with {done.returncode}'
        found = _REFUSED.search(said)
        if found and found['file'] in sources:
            source = sources[found['file']]
            return Refusal(found['words'], syntax.place_of(texts[source], int(found['line'])), source)
        return Refusal(said.removeprefix('dnsmasq: '), '', 'hand-written' if found else '')


def _prefixed(blocks: Iterable[Block], prefix: str) -> Iterator[Block]:
    for found in blocks:
        yield Block(found.key, found.name, tuple(f'{prefix}{row}' for row in found.lines))


def words_of(error: Exception) -> str:
    """What went wrong with a program or a file, in words that stand before a full stop."""
    if isinstance(error, subprocess.CalledProcessError):
        said = str(error.stderr or '').strip().splitlines()
        return f'"{" ".join(error.cmd)}" ended with {error.returncode}' + (f': {said[-1].rstrip(".")}' if said else '')
    return str(error).rstrip('.')


def listed(folder: Path) -> list[Path]:
    """The files of a folder in which dnsmasq would look: it passes over names that begin with a dot."""
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    return [folder / name for name in names if not name.startswith('.')]


def reads(row: str, folder: Path) -> bool:
    """Whether a line lets dnsmasq read our folder (conf-dir) or the file in it (conf-file)."""
    name, equals, value = row.partition('=')
    path = value.split(',')[0].strip().strip('"')
    if not equals or not path:
        return False
    return (name.strip() == 'conf-dir' and Path(path) == folder) or (
        name.strip() == 'conf-file' and Path(path).parent == folder
    )


def included(path: Path, seen: frozenset[Path] = frozenset()) -> Iterator[tuple[Path, str]]:
    """(file, text) of a configuration and of what it reads, but for folders that do not exist.  Raises OSError for the
    first file."""
    text = path.read_text('utf-8', 'surrogateescape')
    yield path, text
    for row in text.splitlines():
        for below in _named(row):
            if below not in seen and below != path:
                try:
                    yield from included(below, seen | {path})
                except OSError:
                    continue  # dnsmasq itself says so when it is asked


def _named(row: str) -> Iterator[Path]:
    """The files that a line lets dnsmasq read, in its order (man page, --conf-file and --conf-dir)."""
    name, equals, value = row.strip().partition('=')
    kind, parts = name.strip(), [part.strip().strip('"') for part in value.split(',')]
    if not equals or not parts[0] or row.lstrip().startswith('#'):
        return
    if kind == 'conf-file':
        yield Path(parts[0])
    elif kind == 'conf-dir':
        folder = Path(parts[0])
        wanted = [part[1:] for part in parts[1:] if part.startswith('*') and len(part) > 1]
        unwanted = [part for part in parts[1:] if part and not part.startswith('*')]
        for found in listed(folder):
            if found.name.endswith('~') or (found.name.startswith('#') and found.name.endswith('#')):
                continue
            if (wanted and not found.name.endswith(tuple(wanted))) or found.name.endswith(tuple(unwanted)):
                continue
            if found.is_file():
                yield found


def _without(path: Path, ours: Path, folder: Path, depth: int = 0) -> Path | None:
    """The hand-written configuration without ours: the file itself if it does not name ours, else a copy in `folder`.

    None if there is no such file (then only ours is checked)."""
    try:
        text = path.read_text('utf-8', 'surrogateescape')
    except OSError:
        return None
    rows: list[str] = []
    touched = False
    for row in text.splitlines():
        if reads(row.strip(), ours):
            touched = True
            rows.append('')  # so that dnsmasq counts lines as in the file
            continue
        below = list(_named(row)) if depth < _DEEPEST else []
        copies = [_without(found, ours, folder, depth + 1) for found in below]
        if any(copy is not None and copy != found for copy, found in zip(copies, below, strict=True)):
            touched = True
            rows += [f'conf-file={copy or found}' for copy, found in zip(copies, below, strict=True)]
            continue
        rows.append(row)
    if not touched:
        return path
    copy = folder / f'{len(list(folder.iterdir()))}-{re.sub("[^A-Za-z0-9.-]", "-", path.name)}'
    copy.write_text('\n'.join([*rows, '']), 'utf-8', 'surrogateescape')
    return copy
