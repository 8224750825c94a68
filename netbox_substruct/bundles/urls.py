"""Where a machine under a build finds its artifacts and files, and where it reports: the template variable `urls`."""

from collections.abc import Iterable
from typing import Any

from .kinds import KINDS
from .markers import Sealed

# A machine reports by a POST; the body is one line for `progress` and `finishing`, and a log for the others.
CALLBACKS = ('done', 'failed', 'finishing', 'progress', 'log')


def of_build(
    seal: Sealed, boot_image: dict[str, Any] | None, kinds: Iterable[str], architecture: str
) -> dict[str, Any]:
    """The variable `urls`, made of markers.

    `artifact` has the kinds of this bundle and no others, so that a script cannot send a machine to what is not there.
    """
    build = f'{seal.base_url}/build/{seal.token}'
    found: dict[str, Any] = {
        'base': seal.base_url,
        'build': f'{build}/',
        'artifact': {kind: f'{build}/{KINDS[kind].name}' for kind in kinds},
        'kernel': '',
        'initrds': [],
        'disk_image': '',
        'prospector': {
            'kernel': f'{seal.base_url}/prospector/{architecture}/vmlinuz',
            'initrd': f'{seal.base_url}/prospector/{architecture}/initrd.img',
        },
    }
    found.update({name: f'{build}/{name}' for name in CALLBACKS})
    if boot_image is not None:
        if boot_image['kernel']:
            found['kernel'] = f'{seal.base_url}/{boot_image["kernel"]["path"]}'
        found['initrds'] = [f'{seal.base_url}/{file["path"]}' for file in boot_image['initrds']]
        if boot_image['disk_image']:
            found['disk_image'] = f'{seal.base_url}/{boot_image["disk_image"]["path"]}'
    return found
