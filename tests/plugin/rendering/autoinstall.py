"""What Ubuntu's installer takes, as its manual says it, and checks that a schema cannot make.

subiquity's own schema is under the AGPL and in no package that pip or apt has, so it is not here: this one is written
after its autoinstall reference manual (doc/reference/autoinstall-reference.rst at 0176d0d76b60) and curtin's
"Storage" (doc/topics/storage.rst), for the keys that the templates use.
"""

import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from netbox_substruct.bundles import markers, quoting
from tests.formats import cloud_init, netplan

TEXT = {'type': 'string'}
FLAG = {'type': 'boolean'}
TEXTS = {'type': 'array', 'items': TEXT}
COMMANDS = {'type': 'array', 'items': {'type': ['string', 'array'], 'items': TEXT}}
SIZE = {'anyOf': [{'const': -1}, {'type': 'integer', 'minimum': 1}, {'type': 'string', 'pattern': '^[0-9]+[KMGT]$'}]}


def _action(name: str, required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        'type': 'object',
        'properties': {'type': {'const': name}, 'id': TEXT, **required, **optional},
        'required': ['type', 'id', *required],
        'additionalProperties': False,
    }


ACTIONS = [
    _action('disk', {'path': TEXT, 'ptable': {'enum': ['gpt', 'msdos']}}, preserve=FLAG, grub_device=FLAG,
            wipe={'enum': ['superblock', 'superblock-recursive', 'zero']}),
    _action('partition', {'device': TEXT, 'size': SIZE}, flag={'enum': ['boot', 'bios_grub', 'swap', 'prep']},
            wipe={'const': 'superblock'}, preserve=FLAG, grub_device=FLAG, number={'type': 'integer'}),
    _action('raid', {'name': TEXT, 'raidlevel': {'enum': [0, 1, 5, 6, 10]}, 'devices': TEXTS}, preserve=FLAG),
    _action('dm_crypt', {'volume': TEXT, 'dm_name': TEXT, 'key': TEXT}, preserve=FLAG),
    _action('lvm_volgroup', {'name': TEXT, 'devices': TEXTS}, preserve=FLAG),
    _action('lvm_partition', {'volgroup': TEXT, 'name': TEXT, 'size': SIZE}, wipe={'const': 'superblock'},
            preserve=FLAG),
    _action('format', {'volume': TEXT, 'fstype': {'enum': ['fat32', 'ext4', 'xfs', 'btrfs', 'swap']}}),
    _action('mount', {'device': TEXT, 'path': TEXT}),
]  # fmt: skip
SCHEMA: dict[str, Any] = {
    'type': 'object',
    'properties': {
        'version': {'const': 1},
        'refresh-installer': {'type': 'object', 'properties': {'update': FLAG}, 'additionalProperties': False},
        'locale': TEXT,
        'keyboard': {'type': 'object', 'properties': {'layout': TEXT}, 'required': ['layout']},
        'source': {'type': 'object', 'properties': {'id': TEXT, 'search_drivers': FLAG}, 'additionalProperties': False},
        'proxy': {'type': 'string', 'format': 'uri'},
        'apt': {
            'type': 'object',
            'properties': {
                'geoip': FLAG,
                'primary': {
                    'type': 'array',
                    'items': {'type': 'object', 'properties': {'arches': TEXTS, 'uri': TEXT}, 'required': ['uri']},
                },
            },
            'additionalProperties': False,
        },
        'packages': TEXTS,
        'updates': {'enum': ['security', 'all']},
        'network': {
            'type': 'object',
            'properties': {
                'version': {'const': 2},
                **{name: {'type': 'object'} for name in ('ethernets', 'bonds', 'bridges', 'vlans')},
            },
            'required': ['version'],
            'additionalProperties': False,
        },
        'storage': {
            'type': 'object',
            'properties': {
                'swap': {'type': 'object'},
                'config': {'type': 'array', 'items': {'oneOf': ACTIONS}},
                'layout': {
                    'type': 'object',
                    'properties': {
                        'name': {'enum': ['lvm', 'direct']}, 'sizing-policy': {'enum': ['scaled', 'all']},
                        'password': TEXT, 'match': {'type': 'object', 'properties': {'path': TEXT}},
                    },
                    'required': ['name', 'match'],
                    'additionalProperties': False,
                },
            },
            'oneOf': [{'required': ['config']}, {'required': ['layout']}],
            'additionalProperties': False,
        },
        'ssh': {
            'type': 'object',
            'properties': {'install-server': FLAG, 'allow-pw': FLAG, 'authorized-keys': TEXTS},
            'additionalProperties': False,
        },
        'user-data': {'type': 'object'},
        'early-commands': COMMANDS, 'late-commands': COMMANDS, 'error-commands': COMMANDS,
    },
    'required': ['version', 'network', 'storage', 'user-data', 'late-commands'],
    'additionalProperties': False,
}  # fmt: skip


def filled(text: str, secret: str = 'pass "word" : #\\') -> str:
    """An artifact as the boot server serves it."""
    text = text.replace(markers.BASE_URL, 'http://10.1.0.2').replace(markers.TOKEN, 'TOKEN')
    return markers.MARKER.sub(
        lambda match: quoting.FORMATS[match['format']](secret) if match['format'] else secret, text
    )


def after_early_commands(text: str, folder: Path) -> dict[str, Any]:
    """The configuration as it is once its early-commands have run on a machine that has every disk."""
    found: dict[str, Any] = yaml.safe_load(text)
    configuration = folder / 'autoinstall.yaml'
    configuration.write_text(yaml.safe_dump(found['autoinstall']))
    (script,) = found['autoinstall']['early-commands']
    folder.joinpath('block', 'vda').mkdir(parents=True)
    for name, value in {'size': '1000', 'removable': '0'}.items():
        folder.joinpath('block', 'vda', name).write_text(value)
    script = script.replace('/autoinstall.yaml', str(configuration)).replace('/sys/block', f'{folder}/block')
    programs = folder / 'bin'
    programs.mkdir()
    # Every disk has a link that leads to a device of its own.
    readlink = 'printf "/dev/real-%s" "${2##*/}"'
    for name, does in {'curl': ':', 'sleep': 'kill -9 $PPID', 'readlink': readlink}.items():
        (programs / name).write_text(f'#!/bin/sh\n{does}\n')
        (programs / name).chmod(0o755)
    ran = subprocess.run(
        ['sh', '-c', script.replace('[ -b "$2" ]', 'true')], env={'PATH': f'{programs}:/usr/bin:/bin'},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, '')
    changed: dict[str, Any] = yaml.safe_load(configuration.read_text())
    return changed


def check_storage(storage: dict[str, Any]) -> None:
    """What each action stands on is made before it, and all that is wanted is there."""
    made: set[str] = set()
    for action in storage.get('config', ()):
        below = [action[key] for key in ('device', 'volume', 'volgroup') if key in action] + action.get('devices', [])
        assert set(below) <= made, action
        assert action['id'] not in made, action
        made.add(action['id'])
        if action['type'] == 'disk':
            assert action['path'].startswith('/dev/real-'), 'the installer knows only the names of the kernel'
    if 'config' in storage:
        mounts = [action['path'] for action in storage['config'] if action['type'] == 'mount']
        assert {'/', '/boot'} <= set(mounts)
        assert mounts == sorted(mounts)
    else:
        assert storage['layout']['match']['path'].startswith('/dev/real-')


_taken: set[str] = set()


def check(text: str, folder: Path) -> None:
    """Reads it with all that reads it; what was read once is not read again."""
    text = filled(text)
    if text in _taken:
        return
    found = after_early_commands(text, folder)
    jsonschema.Draft202012Validator(SCHEMA).validate(found)
    check_storage(found['storage'])
    for key in ('early-commands', 'late-commands', 'error-commands'):
        for command in found[key]:
            script = command if isinstance(command, str) else command[-1]
            subprocess.run(['sh', '-n', '-c', script], check=True)
    _cloud_init(text, folder / 'user-data')
    _cloud_init(f'#cloud-config\n{yaml.safe_dump(found["user-data"])}', folder / 'inner')
    plan = folder / 'root' / 'etc' / 'netplan' / '50.yaml'
    plan.parent.mkdir(parents=True)
    plan.write_text(yaml.safe_dump({'network': found['network']}))
    plan.chmod(0o600)
    ran = netplan(folder / 'root')
    assert (ran.returncode, ran.stderr) == (0, '')
    _taken.add(text)


def _cloud_init(text: str, file: Path) -> None:
    file.write_text(text)
    ran = cloud_init('schema', '--config-file', file)
    assert ran.returncode == 0, ran.stdout + ran.stderr
