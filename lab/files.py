"""Files that are either whole or not there."""

import os
from pathlib import Path


def write_atomically(path: Path, text: str, mode: int = 0o600) -> None:
    """Writes beside and renames, so that a reader or a kill never meets half a file."""
    beside = path.with_name(f'.{path.name}.{os.getpid()}')
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, 'w') as file:
        file.write(text)
    os.replace(beside, path)
