"""The boot scripts that belong to no build: the library's own, rendered once in each process.

They change with the plugin alone, so their digest is part of the feed's epoch (`reader`): after an upgrade every reader
takes a snapshot, and no delta has to tell them.
"""

import hashlib
import json
import logging
from collections.abc import Iterator
from functools import cache

from .. import bundles
from ..bundles import templates
from ..choices import ArchitectureChoices, LocalBootChoices
from ..version import __version__
from . import messages as m

logger = logging.getLogger('netbox.substruct.feed')


def _wanted() -> Iterator[tuple[str, str, str, str]]:
    """(name, variant, architecture, local boot method) of every script."""
    for method in ('', *(value for value in LocalBootChoices.values() if value != LocalBootChoices.LOCAL_AUTO)):
        yield 'local', method, '', method
    for name in ('discover', 'rescue', 'wipe'):
        for architecture in ArchitectureChoices.values():
            yield name, architecture, architecture, ''


def identifier(name: str, variant: str) -> int:
    """The same for a script in every NetBox, whatever else there is; 48 bits, so that every JSON reader can hold it."""
    return int.from_bytes(hashlib.sha256(f'{name}/{variant}'.encode()).digest()[:6])


@cache
def standard() -> tuple[m.Script, ...]:
    """Every script, in the order of the feed."""
    found = []
    for name, variant, architecture, method in _wanted():
        label = f'{name} {variant}'.strip()
        context = {
            'machine': {'name': label, 'architecture': architecture, 'local_boot': method},
            'boot_image': None,
            'parameters': {},
        }
        bundle = bundles.render(context, templates.standard([f'ipxe/{name}.ipxe']))
        # Architectures may be added in NetBox's configuration; one that no URL can hold costs its scripts alone.
        for error in bundle.errors:
            logger.error('The standard script %s cannot be made: %s', label, error)
        for artifact in bundle.artifacts:
            found.append(m.Script(id=identifier(name, variant), name=name, variant=variant, content=artifact.content))
    return tuple(found)


@cache
def digest() -> str:
    """Changes with whatever the plugin itself puts into a feed: the scripts, and the shape of lines."""
    lines = b''.join(map(m.encode, standard()))
    return hashlib.sha256(f'{__version__}|{json.dumps(m.schema())}|'.encode() + lines).hexdigest()
