"""The database and Redis that a test run uses: private, beside the lab's, and shared by nobody who could disturb it.

One PostgreSQL serves all test runs of a tree, because starting it and copying a database is a matter of a second; each
run has databases of its own, named after its process, and a Redis of its own.  The last run that ends stops PostgreSQL.
A run that was killed is cleaned up by the next one.
"""

import fcntl
import itertools
import os
import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from lab import netbox, postgresql, redis_server, template
from lab.errors import LabError
from lab.places import Places, private_folder, run_folder
from lab.processes import Identity, Supervisor, tail
from lab.progress import Progress

PREFIX = 'migrated_'
RUN = re.compile(r'test_(\d+)_(\d+)')
FOLDERS, FOLDER = Path('/var/tmp'), 'substruct-test'  # noqa: S108
AT_WORK = 'a test run is at work in this tree; wait for its end'


class Testbed:
    """One test run's view of it; made in the process that starts the run."""

    __test__ = False  # pytest would take it for a test class

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        shared = run_folder()
        private_folder(shared)
        self.places = Places(shared / 'test')
        self.cluster = postgresql.Cluster(self.places)
        self.supervisor = Supervisor(self.places)
        identity = Identity.of(os.getpid())
        if identity is None:
            raise LabError('this process is not in /proc')
        self.name = f'test_{identity.pid}_{identity.started}'
        self.own = Places(self.places.run / self.name)
        self.template = ''

    def start(self) -> None:
        self.places.make()
        with self._alone():
            self._users = os.open(self.places.run / 'users', os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._users, fcntl.LOCK_SH)
            self._postgresql()
            self._sweep()
            self.own.make()
            Supervisor(self.own).up(redis_server.service(self.own, persistent=False))
            self.template = self._migrated()

    def stop(self) -> None:
        with self._alone():
            self._forget(self.name)
            os.close(self._users)
            users = os.open(self.places.run / 'users', os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # another run is still at work
            else:
                self.supervisor.down(self.cluster.service())
            finally:
                os.close(users)

    def environment(self) -> dict[str, str]:
        """What the test processes, xdist's workers among them, need to find it."""
        return {
            'SUBSTRUCT_TEST_RUN': str(self.places.run),
            'SUBSTRUCT_TEST_DATABASE': self.name,
            'SUBSTRUCT_TEST_TEMPLATE': self.template,
            'SUBSTRUCT_TEST_SOCKETS': str(self.places.database_sockets),
            'SUBSTRUCT_TEST_REDIS': str(self.own.redis_socket),
            'NETBOX_ROOT': str(self.own.netbox_root),
        }

    # ------------------------------------------------------------------ parts

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self.places.lock(lambda: self.progress.say('another test run is preparing its database; waiting for it')):
            yield

    def _postgresql(self) -> None:
        try:
            if not self.cluster.exists:
                shutil.rmtree(self.places.data, ignore_errors=True)
                template.copy_to(self.places, self.progress)
            self.supervisor.up(self.cluster.service())
            self.cluster.query('SELECT 1', database=template.DATABASE)
        except (LabError, psycopg.Error) as error:
            self.progress.say(f"the tests' database is made anew: {error}")
            self.supervisor.down(self.cluster.service())
            shutil.rmtree(self.places.data, ignore_errors=True)
            template.copy_to(self.places, self.progress)
            self.supervisor.up(self.cluster.service())

    def _sweep(self) -> None:
        """Removes what runs that were killed have left."""
        names = {path.name for path in self.places.run.glob('test_*')}
        names.update(name for name in self.cluster.databases() if RUN.match(name))
        for name in names:
            found = RUN.match(name)
            identity = Identity.of(int(found[1])) if found else None
            if found and (identity is None or identity.started != int(found[2])):
                self._forget(found[0])

    def _forget(self, name: str) -> None:
        """Ends one run's Redis and drops its databases and its folder."""
        places = Places(self.places.run / name)
        if places.run.exists():
            Supervisor(places).down(redis_server.service(places, persistent=False))
            places.remove()
        for database in self.cluster.databases():
            if database == name or database.startswith(f'{name}_'):
                self.cluster.drop(database)

    def _migrated(self) -> str:
        """A database with the plugin's migrations applied, made once for each state of them."""
        name = PREFIX + netbox.plugin_migrations()
        present = self.cluster.databases()
        if name in present:
            return name
        building = f'building_{secrets.token_hex(4)}'
        for left in present:
            if left.startswith('building_'):
                self.cluster.drop(left)
        self.cluster.create(building, template.DATABASE)
        settings = netbox.NetBoxSettings(
            database=building,
            database_sockets=str(self.places.database_sockets),
            redis_socket=str(self.own.redis_socket),
            secret_key=secrets.token_urlsafe(60),
            pepper=secrets.token_urlsafe(60),
        )
        settings.write(self.own.settings)
        log = self.places.logs / 'migrate.log'
        with log.open('w') as output, self.progress.step("migrating the tests' database for the plugin", '10-20 s'):
            done = subprocess.run(
                # --run-syncdb: while the plugin has no migrations yet, its tables come from its models
                netbox.manage_command(['migrate', '--no-input', '--run-syncdb']),
                env={**os.environ, **netbox.environment(self.own)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd='/',
            )
        if done.returncode:
            self.cluster.drop(building)
            raise LabError(f"the plugin's migrations failed; the end of {log}:\n{tail(log)}")
        self.cluster.rename(building, name)
        self._thin(keep=name)
        return name

    def _thin(self, keep: str, most: int = 5) -> None:
        """Old states of the migrations are dropped; a few are kept for those who switch between branches."""
        found = self.cluster.query(
            'SELECT datname FROM pg_database WHERE datname LIKE %s AND datname <> %s ORDER BY oid DESC',
            [PREFIX + '%', keep],
        )
        for (name,) in found[most:]:
            self.cluster.drop(name)


@contextmanager
def own_place(name: str) -> Iterator[Places]:
    """A run folder for a lab of this test run's own; one that another test run uses is left alone."""
    shared = run_folder()
    private_folder(shared)
    folder, numbers = shared / name, itertools.count(2)
    while (descriptor := _claimed(folder)) is None:
        folder = shared / f'{name}-{next(numbers)}'
    try:
        yield Places(folder)
    finally:
        os.close(descriptor)


def _claimed(folder: Path) -> int | None:
    """An open file that is locked while somebody uses that folder; None if somebody else does."""
    descriptor = os.open(folder.with_name(f'{folder.name}.user'), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


@contextmanager
def own_folder() -> Iterator[Path]:
    """A folder for labs, away from that of the tree, that PostgreSQL's user can walk to.

    It is removed at the end; where its test run was killed, by the next one, with what runs in it.
    """
    me = Identity.of(os.getpid())
    assert me is not None
    for left in FOLDERS.glob(f'{FOLDER}-*'):
        found = re.fullmatch(rf'{FOLDER}-(\d+)-(\d+)-.*', left.name)
        owner = Identity.of(int(found[1])) if found else None
        if found and left.lstat().st_uid == os.geteuid() and (owner is None or owner.started != int(found[2])):
            _clean_folder(left)
    folder = Path(tempfile.mkdtemp(prefix=f'{FOLDER}-{me.pid}-{me.started}-', dir=FOLDERS))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _clean_folder(folder: Path) -> None:
    from lab.stack import Lab

    for services in list(folder.glob('*/services')):
        Lab(Places(services.parent)).reset()
    shutil.rmtree(folder, ignore_errors=True)


def clean(shared: Places) -> None:
    """Stops what killed test runs have left; part of `reset`."""
    for services in shared.run.glob('*/services'):
        if services.parent.name != 'test':
            _clean_lab(services.parent)
    places = Places(shared.run / 'test')
    if not places.run.exists():
        return
    users = places.run / 'users'
    if users.exists():
        descriptor = os.open(users, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabError(AT_WORK) from None
        finally:
            os.close(descriptor)
    for path in [*places.run.glob('test_*'), places.run]:
        own = Places(path)
        if Path(path, 'services').exists():
            Supervisor(own).down(redis_server.service(own, persistent=False))
    Supervisor(places).down(postgresql.Cluster(places).service())


def _clean_lab(folder: Path) -> None:
    """Ends and removes a lab that a killed test run has left."""
    from lab.stack import Lab

    descriptor = _claimed(folder)
    if descriptor is None:
        raise LabError(AT_WORK)
    try:
        Lab(Places(folder)).reset()
    finally:
        os.close(descriptor)
