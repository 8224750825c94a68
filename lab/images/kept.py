"""The cache of what was made: a folder for each recipe, made whole or not at all, by one process at a time."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.files import write_atomically
from lab.places import cache_folder, exclusive, private_folder
from lab.progress import Progress

# Of each kind, this many are kept; a change of the recipe or a newer kernel makes another.
MOST = 2


@dataclass(frozen=True)
class Kept:
    """A folder that is not changed any more, and what its maker said of it."""

    folder: Path
    about: Mapping[str, Any]


def images_folder() -> Path:
    return cache_folder() / 'images'


def key(recipe: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:12]


def ensure(name: str, recipe: Mapping[str, Any], make: Callable[[Path], Mapping[str, Any]], progress: Progress) -> Kept:
    """What that recipe makes.  `make` fills the empty folder that it is given, and says what is worth knowing of it."""
    folder = images_folder() / f'{name}-{key(recipe)}'
    if found := _read(folder):
        return found
    private_folder(cache_folder())
    images = private_folder(images_folder())
    waiting = f'{name} is being made by another process; waiting for it ({images})'
    with exclusive(images / f'{name}.lock', lambda: progress.say(waiting)):
        if found := _read(folder):
            return found
        beside = images / f'{name}.new'
        shutil.rmtree(beside, ignore_errors=True)
        private_folder(beside)
        try:
            about = make(beside)
            write_atomically(
                beside / 'about.json', json.dumps({**about, 'recipe': dict(recipe)}, indent=2) + '\n', mode=0o644
            )
            shutil.rmtree(folder, ignore_errors=True)
            beside.rename(folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        _thin(name)
    return Kept(folder, about)


def is_made(name: str, recipe: Mapping[str, Any]) -> bool:
    return _read(images_folder() / f'{name}-{key(recipe)}') is not None


def _read(folder: Path) -> Kept | None:
    try:
        return Kept(folder, json.loads((folder / 'about.json').read_text()))
    except (FileNotFoundError, ValueError):
        return None


def _thin(name: str) -> None:
    found = [path for path in images_folder().glob(f'{name}-*') if (path / 'about.json').exists()]
    found.sort(key=lambda path: (path / 'about.json').stat().st_mtime, reverse=True)
    for path in found[MOST:]:
        shutil.rmtree(path)


def everything() -> list[tuple[Path, int]]:
    """Every folder that is kept, with its size in bytes."""
    found = sorted(path for path in images_folder().glob('*') if (path / 'about.json').exists())
    return [(path, sum(file.stat().st_size for file in path.iterdir())) for path in found]


def empty() -> None:
    """Removes them all, and what making them has left."""
    shutil.rmtree(images_folder(), ignore_errors=True)


def sha256_of(path: Path) -> str:
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()
