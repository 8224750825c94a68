"""The steps after DHCP, up to the files of a build: boot loader, this server's HTTP, boot script, files, secrets."""

import hashlib
import socket
import struct
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from ..boot.artifacts import FOLDER, ArtifactStore
from ..boot.files_store import FilesStore, name_of
from ..boot.identify import claims
from ..boot.loaders import Loaders
from ..boot.reading import Reader
from ..boot.scripts import Scripts
from ..boot.urls import base_url_for
from ..desired import BootFile, BootImage, Machine
from ..secrets import SecretError, Secrets
from ..settings import Settings
from ..settings_checks import endpoint
from ..state import View
from ..status import Status
from . import dhcp
from .steps import Step, Wanted, failure, ok, unknown, warning

# What a loader needs beside itself before it comes to this server's scripts.
_WITH = {
    'lpxelinux.0': ('ldlinux.c32', 'ipxe.lkrn'),
    'shimx64.efi': ('grubx64.efi',),
    'shimaa64.efi': ('grubaa64.efi',),
}
# Files are read and compared with their SHA-256 up to so many bytes in all: some seconds.
READ_ALL = 512 << 20
PATIENCE = 3.0
# Machines go through no proxy, whatever the environment of this process says.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


# ---------------------------------------------------------------------- loader and HTTP


def loader(settings: Settings, machine: Machine, mac: str) -> Iterator[Step]:
    """Whether the boot loader of its firmware is here, and comes by TFTP."""
    loaders = Loaders.of(settings)
    for architecture in dhcp.architectures_of(machine):
        found = dhcp.class_of(architecture, mac, settings.dhcp.loaders)
        if found is None or not found.loader:
            yield unknown('loader', f'There is no boot loader for {machine.architecture} clients of this kind.')
            continue
        absent = [name for name in (found.loader, *_WITH.get(found.loader, ())) if loaders.find(name) is None]
        if absent:
            yield failure(
                'loader', f'{", ".join(absent)} is not on this boot server.',
                'Install its package, or put it into the folder paths.loaders: substruct-sidecar check says which.',
                breaks=True,
            )  # fmt: skip
            continue
        yield _by_tftp(settings, found.loader)


def _by_tftp(settings: Settings, name: str) -> Step:
    if not settings.boot.tftp:
        return unknown('loader', f'{name} is here; this sidecar serves no TFTP.', 'See that another server does.')
    said = tftp_answers(settings.boot.tftp[0], name)
    if said is None:
        return failure('loader', f'{name} is here, but the TFTP server does not answer.',
                       'Is the sidecar running? substruct-sidecar status says more.')  # fmt: skip
    if said:
        return failure('loader', f'The TFTP server does not give {name}: {said}')
    return ok('loader', f'{name} is here, and TFTP serves it.')


def tftp_answers(address: str, name: str) -> str | None:
    """Ask for a file and leave after the first packet: '' if it is given, else the error; None without an answer."""
    host, port = endpoint(address)
    host = {'0.0.0.0': '127.0.0.1', '::': '::1'}.get(host, host)  # noqa: S104  (asked, not listened on)
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asker:
            asker.settimeout(PATIENCE)
            asker.sendto(b'\0\1' + name.encode() + b'\0octet\0', (host, port))
            data, peer = asker.recvfrom(2048)
            asker.sendto(struct.pack('!HH', 5, 0) + b'only asked\0', peer)  # RFC 1350: ends the transfer
    except OSError:
        return None
    if data[:2] == b'\0\5':
        return data[4:].rstrip(b'\0').decode('utf-8', 'replace')[:200] or 'an error'
    return ''


def http(settings: Settings, base_url: str) -> Step:
    """Whether this server answers where machines are told that it is."""
    if urlsplit(base_url).scheme not in ('http', 'https'):
        return failure('loader', 'No base URL is known, so nothing can be booted from here.',
                       "Set the boot server's base URL in NetBox, or boot.base_url in the settings.")  # fmt: skip
    try:
        with _DIRECT.open(f'{base_url}/healthz', timeout=PATIENCE) as answer:
            answer.read(1)
    except urllib.error.HTTPError as error:
        # 503: it serves, and says that something is not well.
        if error.code != 503:
            return failure('loader', f'{base_url} answers with {error.code}: is that this boot server?')
    except (OSError, ValueError) as error:
        return warning('loader', f'{base_url} does not answer from here: {getattr(error, "reason", error)}',
                       'Machines are told this URL. If they reach it and this host does not, all is well.')  # fmt: skip
    return ok('loader', f'{base_url} answers.')


# ---------------------------------------------------------------------- script


def script(settings: Settings, machine: Machine, mac: str, address: str) -> Step:
    """What its boot loader would be told now, without anything counting as served."""
    folder = settings.state_folder
    with closing(Reader(folder / 'state.db', folder / 'outbox.db')) as reader:
        scripts = Scripts(
            reader, ArtifactStore(folder / FOLDER), FilesStore(settings.files_folder, settings.prospector_folder),
            Secrets(Path(settings.secrets.directory)).get,
        )  # fmt: skip
        said = claims(mac, machine.uuid or '', machine.serial or '', machine.architecture, _PLATFORM.get(
            machine.firmware or '', ''))  # fmt: skip
        answer = scripts.ipxe(said, address, base_url_for(settings, reader.about(), address))
    if answer.kind in ('conflict', 'unknown'):
        return failure('script', answer.reason, 'Correct the MAC address, UUID or serial number in NetBox.',
                       breaks=answer.kind == 'conflict')  # fmt: skip
    if answer.kind == 'no-state':
        return failure('script', answer.reason)
    if answer.kind == 'waiting':
        remedy = answer.problem.remedy if answer.problem is not None else 'It asks again every few seconds.'
        return (failure if answer.problem is not None else warning)('script', f'It waits: {answer.reason}', remedy)
    if answer.kind == 'nothing':
        return warning('script', f'It is offered nothing: {answer.reason}')
    return ok('script', f'{_BOOTS[answer.kind]}: {answer.reason}')


_PLATFORM = {'bios': 'pcbios', 'uefi': 'efi'}
_BOOTS = {
    'build': 'Its build', 'local': 'Its own disk, until a build is requested', 'rescue': 'The rescue system',
    'discovery': 'Discovery', 'wipe': 'Disk wipe',
}  # fmt: skip


# ---------------------------------------------------------------------- files and secrets


def files(settings: Settings, status: Status | None, view: View, machine: Machine, wanted: Wanted) -> Iterator[Step]:
    """Kernel, initrds and disk image of the build, and the prospector where its script needs that."""
    store = FilesStore(settings.files_folder, settings.prospector_folder)
    for architecture in wanted.prospector:
        if store.has_prospector(architecture):
            yield ok('files', f'The prospector for {architecture} is here.')
        else:
            yield failure(
                'files', f'There is no prospector for {architecture} on this boot server.',
                f'substruct-sidecar prospector build --arch {architecture}', breaks=True,
            )  # fmt: skip
    key = wanted.boot_image or (machine.build.boot_image if machine.build is not None else None)
    if key is None:
        return
    image: BootImage | None = view.object('boot-image', key)
    if image is None:
        yield warning('files', f'The boot image #{key} has not come with the feed yet.', 'Look again in a moment.')
        return
    left = READ_ALL
    for file in image.files:
        step, read = _file(store, status, image, file, left)
        left -= read
        yield step


def _file(store: FilesStore, status: Status | None, image: BootImage, file: BootFile, most: int) -> tuple[Step, int]:
    """The step, and how many bytes were read for it."""
    name, what = name_of(file), f'The {file.role} of {image.name}'
    opened = store.open(name)
    if opened is None:
        said = [
            problem.message for problem in (status.problems if status is not None else ())
            if problem.service == 'files' and file.url in problem.message
        ]  # fmt: skip
        if not said:
            return warning(
                'files', f'{what} is not here yet: {file.url}', 'It is being fetched; builds wait for it.'
            ), 0
        # As boot.fetch says it.  Nothing but another file or another checksum ends it; everything else may pass.
        mismatch = 'but NetBox says' in said[0]
        return failure('files', f'{what} is not here: {said[0]}', 'It is tried again; builds that need it wait.',
                       breaks=mismatch), 0  # fmt: skip
    with opened.stream:
        about = store.about(name)
        expected = (file.sha256 or about.sha256).lower()
        if about.size and about.size != opened.size:
            return failure('files', f'{what} has {opened.size} bytes instead of {about.size}.',
                           'It is fetched again within a minute.'), 0  # fmt: skip
        if not expected:
            return warning('files', f'{what} is here ({opened.size} bytes), and nobody knows its SHA-256.',
                           'Give the boot image its checksum in NetBox.'), 0  # fmt: skip
        if opened.size > most:
            when = f' at {time.strftime("%Y-%m-%d %H:%M", time.localtime(about.checked))}' if about.checked else ''
            return ok('files', f'{what} is here; its SHA-256 was checked when it was fetched{when}.'), 0
        digest = hashlib.file_digest(opened.stream, 'sha256').hexdigest()  # type: ignore[arg-type]
    if digest != expected:
        return failure('files', f'{what} is damaged on this boot server: it has SHA-256 {digest[:12]}… and not '
                       f'{expected[:12]}….', f'Remove {store.folder / name}: it is fetched again.',
                       breaks=True), opened.size  # fmt: skip
    return ok('files', f'{what} is here, and its SHA-256 is right.'), opened.size


def secrets(settings: Settings, wanted: Wanted) -> Iterator[Step]:
    """Whether the secrets that its artifacts name are here; their values are not looked at."""
    store = Secrets(Path(settings.secrets.directory))
    found = 0
    for name in wanted.secrets:
        try:
            store.get(name)
        except SecretError as error:
            yield failure('secrets', str(error), breaks=True)
        else:
            found += 1
    if wanted.secrets and found == len(wanted.secrets):
        yield ok('secrets', f'Every secret that it needs is here: {", ".join(wanted.secrets)}.')
