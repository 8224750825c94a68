"""The prospector for the lab, the tests and the demo: built once, and kept in the cache.

It is kept by its recipe, its code, and the versions of the packages that it is made of; what the package sources have
is looked at once a day.
"""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from lab.errors import LabError
from lab.files import write_atomically
from lab.images import debian
from lab.places import cache_folder, exclusive, private_folder
from substruct_sidecar.prospector import build, recipe
from substruct_sidecar.prospector.errors import BuildError

# Seconds after which the package sources are asked again, and images that are kept.
FRESH = 86400.0
KEPT = 2


def ensure(say: Callable[[str], None] = lambda text: None, architecture: str = 'x86_64') -> Path:
    """The folder to name as paths.prospector; in it <architecture>/{vmlinuz,initrd.img}.  Builds it where it is not
    there.

    Raises LabError.
    """
    cache = private_folder(cache_folder()) / 'prospector'
    cache.mkdir(exist_ok=True)
    waiting = f'the prospector is being built by another process; waiting for it ({cache})'
    with exclusive(cache / 'lock', lambda: say(waiting)):
        try:
            return _ensure(cache, say, architecture)
        except BuildError as error:
            raise LabError(f'the prospector cannot be built: {error}') from error


def everything() -> list[tuple[Path, int]]:
    """Every folder that is kept, with its size in bytes; first that of packages."""
    found = sorted(path for path in (cache_folder() / 'prospector').glob('*') if path.is_dir())
    return [(path, sum(file.lstat().st_size for file in path.rglob('*'))) for path in found]


def empty() -> None:
    shutil.rmtree(cache_folder() / 'prospector', ignore_errors=True)


def _ensure(cache: Path, say: Callable[[str], None], architecture: str) -> Path:
    source = _recipe(cache)
    code = build.inputs(source, architecture)
    about = cache / f'{architecture}.json'
    try:
        known = json.loads(about.read_text())
    except (OSError, ValueError):
        known = {}
    kept = cache / str(known.get('folder'))
    there = known.get('code') == code and build.manifest_of(kept / architecture) is not None
    if there and time.time() - known.get('asked', 0.0) < FRESH:
        return kept
    packages = build.package_versions(source, architecture, cache, say)
    if not there or known.get('packages') != packages:
        kept = cache / f'{architecture}-{code[:8]}{packages[:8]}'
        if build.manifest_of(kept / architecture) is None:
            say('building the prospector (a minute; once)')
            build.build(source, architecture, kept, cache, say)
    about.write_text(json.dumps({'folder': kept.name, 'code': code, 'packages': packages, 'asked': time.time()}))
    _thin_out(cache, architecture, kept)
    return kept


def _recipe(cache: Path) -> Path:
    """The built-in one; where apt has nothing of Debian (on Ubuntu, say), the same from Debian's own servers."""
    if debian.hosts('ORIGIN', 'Debian'):
        return recipe.built_in()
    head = '[packages]\n'
    before, _, after = recipe.built_in().read_text().partition(head)
    own = cache / 'recipe.toml'
    write_atomically(own, f'{before}{head}sources = {json.dumps(debian.sources())}\n{after}')
    return own


def _thin_out(cache: Path, architecture: str, kept: Path) -> None:
    others = [path for path in cache.glob(f'{architecture}-*') if path.is_dir() and path != kept]
    for path in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT - 1 :]:
        shutil.rmtree(path, ignore_errors=True)
