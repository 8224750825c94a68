"""Debian's packages, fetched and unpacked by an ordinary user into folders of our own.

apt reads the host's sources, keys, proxies and passwords, but has its own state: an empty system on which nothing is
installed.  So it names all that a package needs, and nothing of the host is looked at or changed.
"""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .errors import BuildError
from .recipe import Packages

# What the host's configuration of apt says about fetching; its hooks must not run here.
_TAKEN = re.compile(r'Acquire::(?!Languages|IndexTargets|Changelogs)')
_URI = re.compile(r"'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+)")


@dataclass(frozen=True, slots=True, order=True)
class Package:
    name: str
    version: str
    architecture: str
    sha256: str
    path: Path


class Apt:
    """In `folder`, which is kept between builds, so that only what is new is fetched."""

    def __init__(self, folder: Path, architecture: str, packages: Packages) -> None:
        self._folder = folder
        self._packages = packages
        for tool in ('apt-get', 'apt-cache', 'apt-config', 'dpkg-deb'):
            if shutil.which(tool) is None:
                raise BuildError(
                    f'{tool} is missing: the prospector is made of Debian’s packages. Build it on Debian or Ubuntu, or '
                    f'copy one that was built there into paths.prospector.'
                )
        for name in ('lists/partial', 'archives/partial', 'nothing/partial', 'empty', 'state'):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / 'state/status').write_text('')
        (folder / 'preferences').write_text(
            f'Package: *\nPin: release o={packages.origin}\nPin-Priority: 990\n' if packages.origin else ''
        )
        own = ''
        if packages.sources:
            own = f'Dir::Etc::SourceList "{folder}/sources.list";\nDir::Etc::SourceParts "{folder}/empty";\n'
            (folder / 'sources.list').write_text('\n'.join(packages.sources) + '\n')
        (folder / 'apt.conf').write_text(
            f'{self._of_the_host()}'
            f'APT::Architecture "{architecture}";\nAPT::Architectures {{ "{architecture}"; }};\n'
            f'Dir::State "{folder}/state";\nDir::State::Lists "{folder}/lists";\n'
            f'Dir::State::Status "{folder}/state/status";\nDir::Cache "{folder}";\n'
            f'Dir::Cache::Archives "{folder}/archives";\nDir::Log "{folder}";\n'
            f'Dir::Etc::Main "/dev/null";\nDir::Etc::Parts "{folder}/empty";\n'
            f'Dir::Etc::Preferences "{folder}/preferences";\nDir::Etc::PreferencesParts "{folder}/empty";\n{own}'
            'Acquire::Languages "none";\nAcquire::Retries "3";\n'
            'APT::Install-Recommends "false";\nAPT::Install-Suggests "false";\n'
            # The folder is this user's; apt's own user may not walk there.
            'APT::Sandbox::User "root";\nAPT::Get::Assume-Yes "true";\nDebug::NoLocking "true";\n'
        )

    def _of_the_host(self) -> str:
        done = subprocess.run(['apt-config', 'dump'], text=True, capture_output=True)
        return ''.join(f'{line}\n' for line in done.stdout.splitlines() if _TAKEN.match(line))

    def refresh(self, say: Callable[[str], None]) -> None:
        """Read what the sources have; if they cannot be reached, what they had the last time."""
        done = self._run('apt-get', 'update')
        if done.returncode == 0:
            return
        if not any((self._folder / 'lists').glob('*_Packages*')):
            raise BuildError(f'The package sources cannot be read:\n{_end(done)}')
        say(f'The package sources cannot be read; going on with what they had the last time. {_end(done)}')

    def wanted(self, packages: Sequence[str]) -> list[str]:
        """These, and those of the optional ones that the sources have."""
        done = self._run('apt-cache', 'madison', *self._packages.optional) if self._packages.optional else None
        have = {line.split('|')[0].strip() for line in done.stdout.splitlines()} if done else set()
        return [*packages, *(name for name in self._packages.optional if name in have)]

    def named(self, packages: Sequence[str]) -> list[str]:
        """The files of all packages that these need, with their versions; sorted, nothing is fetched."""
        # Packages that were fetched before are not listed, so it is asked with an empty cache.
        nothing = f'Dir::Cache::Archives={self._folder}/nothing'
        listed = self._run('apt-get', 'install', '--print-uris', '-qq', '-o', nothing, *packages)
        if listed.returncode:
            raise BuildError(
                f'The packages of the recipe cannot be had:\n{_end(listed)}\n'
                f'Do the sources have the component that they are in? (apt-cache policy <package>)'
            )
        return sorted(match['file'] for line in listed.stdout.splitlines() if (match := _URI.match(line)))

    def fetch(self, packages: Sequence[str]) -> list[Package]:
        """All packages that these need, downloaded and checked by apt."""
        names = self.named(packages)
        done = self._run('apt-get', 'install', '--download-only', '-qq', *packages)
        paths = [self._folder / 'archives' / name for name in names]
        missing = [path.name for path in paths if not path.is_file()]
        if done.returncode or missing:
            raise BuildError(
                f'Packages cannot be fetched ({", ".join(missing[:5]) or "apt-get failed"}):\n{_end(done)}'
            )
        return sorted(_about(path) for path in paths)

    def forget(self, keep: Sequence[Package]) -> None:
        """Remove what earlier builds fetched and this one did not use."""
        kept = {package.path.name for package in keep}
        for path in (self._folder / 'archives').glob('*.deb'):
            if path.name not in kept:
                path.unlink(missing_ok=True)

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment: Mapping[str, str] = {
            **os.environ, 'APT_CONFIG': str(self._folder / 'apt.conf'), 'LC_ALL': 'C',
            'DEBIAN_FRONTEND': 'noninteractive',
        }  # fmt: skip
        return subprocess.run(
            command, text=True, errors='replace', capture_output=True, env=environment, stdin=subprocess.DEVNULL
        )


def unpack(packages: Sequence[Package], root: Path) -> None:
    """All of them into one folder, in which /bin, /sbin and /lib are links to those of /usr, as in the image."""
    for name in ('bin', 'sbin', 'lib'):
        (root / 'usr' / name).mkdir(parents=True, exist_ok=True)
    for name in ('bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32'):
        (root / name).symlink_to(f'usr/{name}')
        (root / 'usr' / name).mkdir(exist_ok=True)
    # Several at once, as most of the time goes into decompression; they share folders, but no files.
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(lambda package: _unpack(package, root), packages))


def _unpack(package: Package, root: Path) -> None:
    with subprocess.Popen(['dpkg-deb', '--fsys-tarfile', str(package.path)], stdout=subprocess.PIPE) as reading:
        done = subprocess.run(
            ['tar', '-x', '--keep-directory-symlink', '--no-same-owner', '--no-same-permissions', '-C', str(root)],
            stdin=reading.stdout, capture_output=True, text=True,
        )  # fmt: skip
    if done.returncode or reading.returncode:
        raise BuildError(
            f'The package {package.path.name} cannot be unpacked: {done.stderr.strip() or "it is damaged"}.'
        )


def _about(path: Path) -> Package:
    done = subprocess.run(
        ['dpkg-deb', '--showformat=${Package}\n${Version}\n${Architecture}', '--show', str(path)],
        text=True, capture_output=True,
    )  # fmt: skip
    words = done.stdout.split('\n')
    if done.returncode or len(words) != 3:
        path.unlink(missing_ok=True)
        raise BuildError(f'The package {path.name} is damaged: {done.stderr.strip()}. It was removed; build again.')
    with path.open('rb') as stream:
        digest = hashlib.file_digest(stream, 'sha256').hexdigest()
    name, version, architecture = words
    return Package(name, version, architecture, digest, path)


def _end(done: subprocess.CompletedProcess[str]) -> str:
    return '\n'.join((done.stderr.strip() or done.stdout.strip()).splitlines()[-8:])
