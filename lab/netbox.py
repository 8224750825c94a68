"""NetBox as the lab runs it: which one, with which settings, and its processes."""

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from lab.files import write_atomically
from lab.places import TREE, Places

PLUGIN = 'netbox_substruct'
SETTINGS_VARIABLE = 'SUBSTRUCT_NETBOX_SETTINGS'
LAB_HEADER = 'Substruct-Lab'  # in every answer of a lab's web server: which lab it is


@dataclass(frozen=True)
class NetBoxSettings:
    """What lab/configuration.py gives to NetBox; a file in the run folder, readable by its owner alone."""

    database: str
    database_sockets: str
    redis_socket: str
    secret_key: str
    pepper: str
    plugins: tuple[str, ...] = (PLUGIN,)

    def write(self, path: Path) -> None:
        write_atomically(path, json.dumps(asdict(self), indent=2) + '\n')

    @classmethod
    def read(cls, path: Path) -> 'NetBoxSettings':
        raw = json.loads(path.read_text())
        return cls(**{**raw, 'plugins': tuple(raw['plugins'])})


def environment(places: Places) -> dict[str, str]:
    """What a process needs to be NetBox in this run folder."""
    path = [str(TREE), *filter(None, os.environ.get('PYTHONPATH', '').split(os.pathsep))]
    return {
        'DJANGO_SETTINGS_MODULE': 'netbox.settings',
        'NETBOX_CONFIGURATION': 'lab.configuration',
        'NETBOX_ROOT': str(places.netbox_root),
        SETTINGS_VARIABLE: str(places.settings),
        'PYTHONPATH': os.pathsep.join(dict.fromkeys(path)),
        'PYTHONUNBUFFERED': '1',
        # Nothing is left in the tree by processes that root started.
        'HOME': os.environ.get('HOME', str(places.run)),
    }


def manage_command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, '-m', 'netbox', *arguments]


@cache
def package_folder(name: str) -> Path:
    """Where a package stands, without importing it."""
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError(f'the package {name} is not installed', name=name)
    return Path(next(iter(found.submodule_search_locations)))


@cache
def versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in ('netbox', 'django')}


def core_migrations() -> str:
    """A hash of the names of every migration that NetBox brings."""
    root = package_folder('netbox').parent
    names = sorted(
        f'{path.parent.parent.name}/{path.name}'
        for path in root.glob('*/migrations/*.py')
        if path.parent.parent.name != PLUGIN
    )
    return _digest('\n'.join(names).encode())


def plugin_migrations(folder: Path = TREE / PLUGIN) -> str:
    """A hash of all that `migrate` makes a database of for the plugin, and of the NetBox that it is made for."""
    contents = [json.dumps(versions()).encode(), core_migrations().encode()]
    migrations = sorted((folder / 'migrations').glob('0*.py'))
    # The feed's triggers are made after every migration.
    triggers = [path for name in ('changes', 'messages', 'dns') if (path := folder / 'feed' / f'{name}.py').exists()]
    for path in (*migrations, *triggers):
        contents += [path.name.encode(), path.read_bytes()]
    if not migrations:  # tables then come from the models themselves
        contents.append(code(folder).encode())
    return _digest(b'\0'.join(contents))


def code(*folders: Path) -> str:
    """Changes when a file that a running NetBox has read may have changed."""
    seen = [json.dumps(versions()).encode()]
    found = [path for folder in folders or (TREE / PLUGIN,) for path in sorted(folder.rglob('*'))]
    if not folders:
        found += sorted((TREE / 'lab').glob('*.py'))  # of what stands below it, NetBox reads nothing
    for path in found:
        if path.is_file() and '__pycache__' not in path.parts:
            status = path.stat()
            seen.append(f'{path} {status.st_size} {status.st_mtime_ns}'.encode())
    return _digest(b'\0'.join(seen))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
