"""A NoCloud seed in the root file system of an image: what cloud-init reads at its first boot.

It only writes below a folder; links within it are followed as the image itself would follow them, never out of it.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

# Where cloud-init looks (cloud-init, DataSourceNoCloud), and what it reads there.
FOLDER = 'var/lib/cloud/seed/nocloud'
NAMES = ('user-data', 'meta-data', 'network-config', 'vendor-data')
# Without these two it takes no notice of the others.
_NEEDED = ('user-data', 'meta-data')
_DEEPEST = 40


def fetch(artifact: Callable[[str], bytes | None]) -> dict[str, bytes]:
    """The parts that the build has."""
    found = {}
    for name in NAMES:
        if (content := artifact(name)) is not None:
            found[name] = content
    return found


def complete(parts: Mapping[str, bytes], instance: str) -> dict[str, bytes]:
    """With what cloud-init needs beside them.  `instance` tells this installation from others."""
    if not parts:
        return {}
    found = dict(parts)
    found.setdefault('user-data', b'#cloud-config\n{}\n')
    found.setdefault('meta-data', f'instance-id: {instance}\n'.encode())
    return found


def is_root(folder: Path) -> bool:
    """Whether a mounted file system is the root of a Linux system (os-release(5))."""
    return any(os.path.lexists(folder / name) for name in ('etc/os-release', 'usr/lib/os-release'))


@dataclass(frozen=True)
class Mount:
    """A line of fstab(5): `source` as it stands there (UUID=…, LABEL=…, /dev/…), `folder` where it is mounted."""

    source: str
    folder: str
    kind: str
    options: tuple[str, ...]

    @property
    def subvolume(self) -> str:
        """Of btrfs, '' if none is named."""
        return next((option[7:].strip('/') for option in self.options if option.startswith('subvol=')), '')


def mount_over(fstab: str, folder: str = FOLDER) -> Mount | None:
    """The file system that the image mounts over the place of the seed, None if that is in its root: what is written
    into the folder below it is not seen by the system."""
    best: Mount | None = None
    for line in fstab.splitlines():
        words = line.split()
        if len(words) < 3 or words[0].startswith('#') or words[2] in ('swap', 'none'):
            continue
        where = words[1].replace('\\040', ' ').strip('/')
        if where and f'{folder}/'.startswith(f'{where}/') and (best is None or len(where) > len(best.folder)):
            best = Mount(words[0].replace('"', ''), where, words[2], tuple(words[3].split(',') if words[3:] else ()))
    return best


def inside(root: Path, path: str) -> Path:
    """Where a path of the image's own stands on this system.  Raises OSError for links in a circle."""
    done: list[str] = []
    rest = [part for part in path.split('/') if part not in ('', '.')][::-1]
    links = 0
    while rest:
        part = rest.pop()
        if part == '..':
            done = done[:-1]
            continue
        here = root.joinpath(*done, part)
        if here.is_symlink():
            links += 1
            if links > _DEEPEST:
                raise OSError(f'{path} is links in a circle')
            target = os.readlink(here)
            if target.startswith('/'):
                done = []
            rest += [part for part in target.split('/') if part not in ('', '.')][::-1]
            continue
        done.append(part)
    return root.joinpath(*done)


def place(root: Path, parts: Mapping[str, bytes], mounted: str = '') -> None:
    """Write the seed, and flush it to the disk.  What an earlier installation left there goes.  `mounted` is the folder
    of the image at which it mounts the file system `root`, '' for its root file system."""
    folder = inside(root, FOLDER.removeprefix(mounted))
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    for name in NAMES:
        path = folder / name
        if path.is_symlink() or path.exists():
            path.unlink()
        if name not in parts:
            continue
        # It may hold passwords' hashes and keys: for root alone.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(handle, 'wb') as stream:
            stream.write(parts[name])
            stream.flush()
            os.fsync(stream.fileno())
    # An image that was made of a machine which had booted takes itself for that one; its first boot is to be here.
    link = folder.parent.parent / 'instance'
    if link.is_symlink():
        link.unlink()


def has_cloud_init(root: Path) -> bool:
    return any(
        os.path.lexists(inside(root, path)) for path in ('usr/bin/cloud-init', 'usr/local/bin/cloud-init', 'etc/cloud')
    )
