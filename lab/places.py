"""Where the lab's things stand: one run folder, one folder for sockets, and the cache.

PostgreSQL refuses to run as root.  When root runs the lab, PostgreSQL runs as another user, who must be able to walk to
its data folder and to its socket; where the tree does not let him, the run folder stands elsewhere and `.run` in the
tree is a link to it.
"""

import fcntl
import hashlib
import os
import pwd
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

TREE = Path(__file__).resolve().parent.parent

# sun_path in sockaddr_un holds 108 bytes (unix(7)); PostgreSQL adds "/.s.PGSQL.5432" and a lock file's ".lock".
LONGEST_SOCKET_FOLDER = 80


@dataclass(frozen=True)
class Owner:
    """The user that PostgreSQL runs as."""

    name: str
    uid: int
    gid: int


def database_owner() -> Owner:
    if os.geteuid() != 0:
        try:
            me = pwd.getpwuid(os.geteuid())
        except KeyError:
            raise LabError(
                f'user id {os.geteuid()} has no entry in the passwd database, and PostgreSQL refuses to run without one'
            ) from None
        return Owner(me.pw_name, me.pw_uid, me.pw_gid)
    for name in ('postgres', 'nobody'):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return Owner(user.pw_name, user.pw_uid, user.pw_gid)
    raise LabError('PostgreSQL refuses to run as root, and there is neither a user postgres nor a user nobody')


def can_walk_to(path: Path, owner: Owner) -> bool:
    """Whether that user may enter every existing folder down to `path`."""
    if owner.uid == os.geteuid():
        return True
    # What does not exist yet is made by the lab, with a mode that lets the user through.
    for folder in (path, *path.parents):
        try:
            status = folder.stat()
        except FileNotFoundError:
            continue
        if status.st_uid == owner.uid:
            if not status.st_mode & 0o100:
                return False
        elif not status.st_mode & 0o001:
            return False
    return True


def short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def private_folder(path: Path) -> Path:
    """Makes a folder that other users can at most walk through, and refuses one that somebody else has put there."""
    path.mkdir(mode=0o711, parents=True, exist_ok=True)
    status = path.lstat()
    if status.st_uid != os.geteuid():
        raise LabError(f'{path} belongs to another user; remove it, or name another run folder with SUBSTRUCT_RUN')
    path.chmod(0o711 if os.geteuid() == 0 else 0o700)
    return path


@dataclass(frozen=True)
class Places:
    """One run folder.  The lab has one, the tests have one of their own, and so has the making of a template."""

    run: Path

    @property
    def sockets(self) -> Path:
        """Where PostgreSQL puts its socket: in the run folder, or in a short folder where that path is too long."""
        inside = self.run / 'sockets'
        if len(os.fsencode(inside)) <= LONGEST_SOCKET_FOLDER:
            return inside
        return Path('/var/tmp') / f'substruct-{os.geteuid()}-{short_hash(str(self.run))}'  # noqa: S108

    @property
    def redis_socket(self) -> Path:
        return self.sockets / 'redis.sock'

    @property
    def data(self) -> Path:
        return self.run / 'postgresql'

    @property
    def logs(self) -> Path:
        return self.run / 'logs'

    @property
    def settings(self) -> Path:
        return self.run / 'settings.json'

    @property
    def netbox_root(self) -> Path:
        return self.run / 'netbox'

    def make(self) -> None:
        private_folder(self.run)
        for folder in (self.logs, self.run / 'services', self.netbox_root):
            private_folder(folder)
        private_folder(self.sockets)
        owner = database_owner()
        # PostgreSQL makes its socket itself, so the folder around it is its user's.
        database_sockets = self.sockets / 'pg'
        database_sockets.mkdir(mode=0o700, exist_ok=True)
        os.chown(database_sockets, owner.uid, owner.gid)

    @property
    def database_sockets(self) -> Path:
        return self.sockets / 'pg'

    def remove(self) -> None:
        """Removes the run folder with everything in it, the lock last."""
        if self.sockets.parent != self.run:
            shutil.rmtree(self.sockets, ignore_errors=True)
        if not self.run.exists():
            return
        for entry in self.run.iterdir():
            if entry.name == 'lock':
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        (self.run / 'lock').unlink(missing_ok=True)
        self.run.rmdir()

    @contextmanager
    def lock(self, waiting: Callable[[], object] = lambda: None) -> Iterator[None]:
        """One `up`, `down` or `reset` at a time.  The kernel lets go of the lock of a process that dies."""
        private_folder(self.run)
        with exclusive(self.run / 'lock', waiting):
            yield


@contextmanager
def exclusive(path: Path, waiting: Callable[[], object] = lambda: None) -> Iterator[None]:
    told = False
    while True:
        path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            if not told:
                waiting()
                told = True
            time.sleep(0.2)
            continue
        # Whoever held it may have removed the file: then this lock is on nothing that others would find.
        try:
            same = os.fstat(descriptor).st_ino == path.stat().st_ino
        except FileNotFoundError:
            same = False
        if same:
            break
        os.close(descriptor)
    try:
        yield
    finally:
        os.close(descriptor)


def run_folder(tree: Path = TREE) -> Path:
    """The lab's run folder: SUBSTRUCT_RUN, or .run in the tree, or where .run leads to."""
    named = os.environ.get('SUBSTRUCT_RUN')
    owner = database_owner()
    if named:
        folder = Path(named).absolute()
        if not can_walk_to(folder.parent, owner):
            raise LabError(
                f'SUBSTRUCT_RUN is {folder}, but PostgreSQL runs as {owner.name}, who may not walk there; '
                'name a folder that he can reach'
            )
        return folder.parent.resolve() / folder.name
    link = tree / '.run'
    if link.is_symlink() or not can_walk_to(tree, owner):
        elsewhere = Path('/var/tmp') / f'substruct-{short_hash(str(tree))}'  # noqa: S108
        if not link.is_symlink():
            link.symlink_to(elsewhere)
        return link.resolve()
    return link


def cache_folder() -> Path:
    """Where migrated databases are kept: outside of the tree, so that a fresh clone does not wait for minutes again."""
    named = os.environ.get('SUBSTRUCT_CACHE')
    if named:
        return Path(named).absolute()
    usual = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'substruct'
    return usual if can_walk_to(usual, database_owner()) else Path('/var/cache/substruct')
