"""The artifacts of builds on disk, as they were rendered: fetched ahead, so that a build does not need NetBox.

The agent asks `missing`, reads each from NetBox and hands it to `ArtifactStore.put`; the boot service reads.  Files are
named by their SHA-256 and readable by the sidecar alone: an installer's configuration may hold password hashes.
"""

import hashlib
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ..files import sync_folder, write_atomically
from ..state import View

FOLDER = 'artifacts'
# An artifact that no build refers to is kept for so many seconds: a snapshot of the feed may be taken meanwhile.
KEEP = 3600.0

_NAME = re.compile(r'[0-9a-f]{64}\Z')


class ArtifactError(ValueError):
    """An artifact cannot be kept: it is not what the feed announced, or the disk does not take it."""


class ArtifactStore:
    """The folder; it is made if it is not there.  Any process may read, the agent alone puts and tidies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def has(self, sha256: str) -> bool:
        return _NAME.match(sha256) is not None and (self.folder / sha256).is_file()

    def read(self, sha256: str) -> str | None:
        """The artifact, or None if it is not there (yet)."""
        if not _NAME.match(sha256):
            return None
        try:
            return (self.folder / sha256).read_bytes().decode('utf-8', 'surrogateescape')
        except FileNotFoundError:
            return None

    def put(self, sha256: str, content: bytes) -> None:
        """Keep an artifact.  Raises ArtifactError."""
        if not _NAME.match(sha256):
            raise ArtifactError(f'"{sha256[:80]}" is no SHA-256 in lower case hexadecimal digits.')
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise ArtifactError(f'The artifact that NetBox gave has SHA-256 {found}, but the feed announced {sha256}.')
        if not self.has(sha256):
            try:
                write_atomically(self.folder / sha256, content, 0o600)
            except OSError as error:
                raise ArtifactError(
                    f'{self.folder} does not take it: {error.strerror}. Its build waits until there is room.'
                ) from error

    def tidy(self, view: View, now: float | None = None) -> int:
        """Remove what no build refers to any more; returns how many."""
        now = time.time() if now is None else now
        needed = {sha256 for _, sha256 in _needed(view)}
        removed = 0
        with os.scandir(self.folder) as entries:
            for entry in entries:
                # What is not named by a digest was left by a write that was cut short.
                with suppress(OSError):  # what cannot be removed now is tried again
                    if entry.name not in needed and now - entry.stat(follow_symlinks=False).st_mtime > KEEP:
                        os.unlink(entry.path)
                        removed += 1
        if removed:
            sync_folder(self.folder)
        return removed


def missing(view: View, store: ArtifactStore) -> list[tuple[int, str]]:
    """(artifact id, SHA-256) of what builds need and is not in the store, each content once."""
    wanted = {sha256: key for key, sha256 in _needed(view)}
    return [(key, sha256) for sha256, key in wanted.items() if not store.has(sha256)]


def _needed(view: View) -> Iterator[tuple[int, str]]:
    """Costs what the builds under way cost, not all machines."""
    for machine in view.machines(view.claimants('token')):
        if machine.build is not None:
            for artifact in machine.build.artifacts:
                yield artifact.id, artifact.sha256
