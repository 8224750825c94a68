"""What `substruct-sidecar prospector build` and `show` do."""

import os
import sys
import time
from pathlib import Path

import msgspec

from . import build as building
from . import recipe
from .errors import BuildError


def cache_folder() -> Path:
    """Where packages are kept between builds: the user's cache, or that of the system for root."""
    if os.geteuid() == 0:
        return Path('/var/cache/substruct/prospector')
    return Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'substruct' / 'prospector'


def build(output: Path, architecture: str, source: Path | None, cache: Path | None) -> int:
    began = time.monotonic()

    def say(text: str) -> None:
        print(f'{time.monotonic() - began:6.1f} s  {text}', flush=True)

    try:
        found = building.build(source or recipe.built_in(), architecture, output, cache or cache_folder(), say)
    except BuildError as error:
        print(f'substruct-sidecar: {error}', file=sys.stderr)
        return 1
    except OSError as error:
        where = f' ({error.filename})' if error.filename else ''
        print(f'substruct-sidecar: {error.strerror}{where}; nothing was changed.', file=sys.stderr)
        return 1
    say(f'{output / architecture}: {found.size / 1e6:.1f} MB, Linux {found.kernel or "of another system"}')
    return 0


def show(output: Path, architecture: str, *, as_json: bool, packages: bool) -> int:
    folder = output / architecture
    found = building.manifest_of(folder)
    if as_json:
        sys.stdout.write((msgspec.json.encode(found) if found else b'null').decode() + '\n')
        return 0 if found else 1
    if found is None:
        there = all((folder / name).is_file() for name in ('vmlinuz', 'initrd.img'))
        print(
            f'The prospector in {folder} was not built here (it has no manifest.json).' if there
            else f'There is no prospector for {architecture} in {output}: substruct-sidecar prospector build makes it.'
        )  # fmt: skip
        return 1
    for problem in building.damage(folder, found):
        print(f'! {problem}')
    print(f'Prospector   {found.version}, recipe {found.recipe}, {found.architecture}')
    print(f'Kernel       {found.kernel or "of another system"}, {found.modules} modules')
    for name, file in found.files.items():
        print(f'{name:<12} {file.size / 1e6:.1f} MB, SHA-256 {file.sha256}')
    print(f'Packages     {len(found.packages)}{"" if packages else " (--packages lists them)"}')
    for package in found.packages if packages else ():
        print(f'  {package.name} {package.version}')
    for url, digest in found.base.items():
        print(f'Base         {url}, SHA-256 {digest}')
    return 1 if any(True for _ in building.damage(folder, found)) else 0
