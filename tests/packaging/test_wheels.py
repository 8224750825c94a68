"""Both distributions build as wheels, and work when they are installed from the wheel into an empty environment.

uv makes the environments, because its cache makes that a matter of seconds.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from netbox_substruct.version import __version__

TREE = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).with_name('uv')


def run(*command: object, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith(('NETBOX', 'DJANGO', 'PYTHON'))},
            **environment,
        },
        cwd='/',
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, f'{command}:\n{done.stdout}{done.stderr}'
    return done.stdout


def build(source: Path, into: Path) -> tuple[Path, Path]:
    """The sdist and the wheel; the wheel is built out of the sdist, as an index would get them."""
    run(sys.executable, '-m', 'build', '--no-isolation', '--outdir', into, source)
    (sdist,), (wheel,) = into.glob('*.tar.gz'), into.glob('*.whl')
    return sdist, wheel


@pytest.fixture(scope='module')
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_tree(tmp_path_factory.mktemp('source'))


@pytest.fixture(scope='module')
def plugin(source: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return build(source, tmp_path_factory.mktemp('plugin'))


@pytest.fixture(scope='module')
def sidecar(source: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    # From its own folder alone: nothing of the tree around it is there.
    alone = tmp_path_factory.mktemp('alone') / 'sidecar'
    shutil.copytree(source / 'sidecar', alone)
    return build(alone, tmp_path_factory.mktemp('sidecar'))


def copy_of_tree(target: Path) -> Path:
    """What git knows or would add: building in the tree itself would leave build folders there."""
    listed = subprocess.run(
        ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
        cwd=TREE,
        text=True,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split('\0')):
        if (TREE / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes((TREE / name).read_bytes())
    return target


def empty_environment(folder: Path, *requirements: object) -> Path:
    """A new virtual environment with these requirements; its Python."""
    run(UV, 'venv', '--quiet', '--python', sys.executable, folder)
    install = [UV, 'pip', 'install', '--quiet', '--python', folder / 'bin/python', *requirements]
    try:
        # The environment of the tree was installed out of the same cache; asking an index again may compile again.
        run(*install, '--offline')
    except AssertionError:
        run(*install)
    return folder / 'bin/python'


def settings_in(folder: Path) -> dict[str, str]:
    """A NetBox configuration with the plugin and without services; the environment that names it."""
    (folder / 'configuration.py').write_text(
        "ALLOWED_HOSTS = ['*']\n"
        "DATABASES = {'default': {'NAME': 'none', 'HOST': '/nonexistent'}}\n"
        "REDIS = {name: {'URL': 'unix:///nonexistent?db=0'} for name in ('tasks', 'caching')}\n"
        "PLUGINS = ['netbox_substruct']\n"
        f'SECRET_KEY = {"x" * 50!r}\n'
    )
    return {
        'NETBOX_CONFIGURATION': 'configuration',
        'PYTHONPATH': str(folder),
        'NETBOX_ROOT': str(folder / 'root'),
    }


def test_both_carry_the_same_version(plugin: tuple[Path, Path], sidecar: tuple[Path, Path]) -> None:
    for path in (*plugin, *sidecar):
        assert f'-{__version__}' in path.name, path.name


def test_the_plugins_wheel_carries_the_library_and_all_data(source: Path, plugin: tuple[Path, Path]) -> None:
    sdist, wheel = plugin
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    library = [path.relative_to(source / 'templates') for path in (source / 'templates').rglob('*') if path.is_file()]
    assert library
    for path in library:
        assert f'netbox_substruct/library/{path}' in inside
    for path in (source / 'netbox_substruct').rglob('*'):
        if path.is_file():
            assert str(path.relative_to(source)) in inside
    strangers = {name.split('/')[0] for name in inside} - {'netbox_substruct'}
    assert all(name.endswith('.dist-info') for name in strangers), strangers
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
    for path in library:
        assert any(name.endswith(f'/templates/{path}') for name in names)


def test_the_plugin_works_from_its_wheel_beside_netbox(plugin: tuple[Path, Path], tmp_path: Path) -> None:
    import importlib.metadata

    python = empty_environment(tmp_path / 'venv', f'netbox=={importlib.metadata.version("netbox")}', plugin[1])
    output = run(python.with_name('netbox'), 'check', **settings_in(tmp_path))
    assert 'no issues' in output
    where = run(python, '-c', 'import importlib.util as u; print(u.find_spec("netbox_substruct").origin)')
    assert str(tmp_path) in where


GRAPH = """
import django; django.setup()
from django.db.migrations.loader import MigrationLoader
loader = MigrationLoader(None)
(leaf,) = loader.graph.leaf_nodes('netbox_substruct')
print([node for node in loader.graph.forwards_plan(leaf) if node[0] == 'netbox_substruct'] and 'complete')
loader.project_state(leaf)
"""


def test_the_migrations_apply_on_the_lowest_netbox_that_is_declared(plugin: tuple[Path, Path], tmp_path: Path) -> None:
    """They name no core migration that this version does not have, and no field that its models do not have."""
    declared = re.search(r"min_version = '([\d.]+)'", (TREE / 'netbox_substruct/__init__.py').read_text())
    assert declared
    python = empty_environment(tmp_path / 'venv', f'netbox=={declared[1]}', plugin[1])
    environment = settings_in(tmp_path)
    assert run(python, '-c', GRAPH, DJANGO_SETTINGS_MODULE='netbox.settings', **environment).strip() == 'complete'
    assert 'no issues' in run(python.with_name('netbox'), 'check', **environment)


def test_the_sidecar_works_from_its_wheel_without_django_and_netbox(sidecar: tuple[Path, Path], tmp_path: Path) -> None:
    python = empty_environment(tmp_path / 'venv', sidecar[1])
    assert run(python.with_name('substruct-sidecar'), '--version').strip() == f'substruct-sidecar {__version__}'
    script = 'import substruct_sidecar, importlib.util as u; print([u.find_spec(n) for n in ("django", "netbox")])'
    assert run(python, '-c', script).strip() == '[None, None]'


def test_the_sidecars_wheel_carries_all_that_the_prospector_is_made_of(
    source: Path, sidecar: tuple[Path, Path]
) -> None:
    with zipfile.ZipFile(sidecar[1]) as archive:
        inside = set(archive.namelist())
    parts = [path for path in (source / 'sidecar/substruct_sidecar/prospector').rglob('*') if path.is_file()]
    assert len(parts) > 20
    for path in parts:
        assert str(path.relative_to(source / 'sidecar')) in inside
