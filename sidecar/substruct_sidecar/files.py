"""Files that are there as a whole or not at all, whatever happens while they are written."""

import os
import secrets
from pathlib import Path


def write_atomically(path: Path, content: bytes | str, mode: int = 0o644) -> None:
    """Write beside, flush to the disk, rename.  The folder must exist.

    Raises OSError (a full disk, for example); what was there before then stays as it was, and nothing is left beside.
    """
    data = content.encode() if isinstance(content, str) else content
    beside = path.with_name(f'.{path.name}.{secrets.token_hex(6)}.new')
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        try:
            with open(handle, 'wb', closefd=False) as stream:
                stream.write(data)
            os.fchmod(handle, mode)  # whatever the umask says
            os.fsync(handle)
        finally:
            os.close(handle)
        os.rename(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make names that were added, renamed or removed in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
