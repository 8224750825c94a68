"""What a file for Ubuntu's installer does, beyond what the matrix has checked: disks, reports, and what is refused."""

import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netbox_substruct.bundles import render

from .autoinstall import SCHEMA, after_early_commands, check_storage, filled
from .machines import FOUR, with_disks
from .samples import context, one, packaged

TEMPLATE = packaged('ubuntu/autoinstall.yaml', 'user-data')


def autoinstall(**changes: Any) -> str:
    return one(render(context(**changes), [TEMPLATE]))


def read(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(filled(autoinstall(**changes)))['autoinstall']
    return found


def played(script: str, folder: Path, **programs: str) -> subprocess.CompletedProcess[str]:
    """Runs a script with these programs instead of the real ones."""
    for name, does in programs.items():
        (folder / name).write_text(f'#!/bin/sh\n{does}\n')
        (folder / name).chmod(0o755)
    return subprocess.run(
        ['sh', '-c', script], env={'PATH': f'{folder}:/usr/bin:/bin'}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize('scheme', ['regular', 'lvm', 'crypto'])
@pytest.mark.parametrize('raid', [None, 1, 10])
@pytest.mark.parametrize('firmware', ['bios', 'uefi'])
def test_every_layout_hangs_together(scheme: str, raid: int | None, firmware: str, tmp_path: Path) -> None:
    layout = {
        'disk': '/dev/sda' if raid is None else [f'/dev/sd{letter}' for letter in 'abcd'][: 2 if raid == 1 else 4],
        'scheme': scheme, 'crypto_secret': 'luks/web',
        'volumes': [
            {'mount': '/', 'size_mb': 20480, 'fs': 'xfs'}, {'mount': '/var/lib', 'grow': True},
            {'mount': '/boot', 'size_mb': 2048}, {'mount': 'swap', 'size_mb': 8192},
        ],
    }  # fmt: skip
    if raid:
        layout['raid'] = raid
    text = filled(autoinstall(profile__disk_layout=layout, machine__firmware=firmware))
    found = after_early_commands(text, tmp_path)
    jsonschema.validate(found, SCHEMA)
    check_storage(found['storage'])
    actions = found['storage']['config']
    by_id = {action['id']: action for action in actions}
    for device, last in {action.get('device'): action for action in actions if action['type'] == 'partition'}.items():
        sizes = [action['size'] for action in actions if action.get('device') == device and 'size' in action]
        assert -1 not in sizes[:-1], f'what takes the rest of {device} is its last: {last}'
    boots = [action for action in actions if action.get('flag') in ('boot', 'bios_grub')]
    assert len(boots) == {None: 1, 1: 2, 10: 4}[raid]
    assert {action['flag'] for action in boots} == {'boot' if firmware == 'uefi' else 'bios_grub'}
    (root,) = [action for action in actions if action['type'] == 'mount' and action['path'] == '/']
    below, kinds = by_id[root['device']]['volume'], []
    while below in by_id:
        action = by_id[below]
        kinds.append(action['type'])
        below = action.get('volgroup') or action.get('volume') or (action.get('devices') or [action.get('device')])[0]
    expected = {'regular': [], 'lvm': ['lvm_partition', 'lvm_volgroup'],
                'crypto': ['lvm_partition', 'lvm_volgroup', 'dm_crypt']}[scheme]  # fmt: skip
    assert kinds == [*expected, *(['raid'] if raid else []), 'partition', 'disk']


def test_without_knowing_the_firmware_the_installer_partitions_by_itself() -> None:
    layout = {'disk': 'only', 'scheme': 'crypto', 'crypto_secret': 'luks/web'}
    found = read(machine__firmware='', profile__disk_layout=layout)
    assert found['storage']['layout'] == {
        'name': 'lvm', 'sizing-policy': 'all', 'password': 'pass "word" : #\\',
        'match': {'path': '/dev/substruct/1/disk'},
    }  # fmt: skip


def test_the_network_and_the_accounts_are_those_of_the_library() -> None:
    found = read(parameters={'users': [{'name': 'ada', 'ssh_keys': ['ssh-ed25519 A']}], 'kernel_options': ['quiet']})
    assert found['network']['ethernets']['eno1']['addresses'] == ['10.1.2.5/24']
    assert [user['name'] for user in found['user-data']['users']] == ['root', 'ada']
    assert found['user-data']['timezone'] == 'Europe/Berlin'
    assert found['late-commands'][0][-1].endswith('>/etc/default/grub.d/60-substruct.cfg; update-grub')


def test_kernel_arguments_reach_the_boot_loader_as_they_are(tmp_path: Path) -> None:
    options = ['console=ttyS0,115200n8', "x=it's $HOME"]
    command = read(parameters={'kernel_options': options})['late-commands'][0][-1]
    file = tmp_path / 'grub.cfg'
    script = command.replace('/etc/default/grub.d/60-substruct.cfg', str(file)).replace('update-grub', 'true')
    played(script, tmp_path)
    ran = played(f'GRUB_CMDLINE_LINUX=quiet; . {file}; printf %s "$GRUB_CMDLINE_LINUX"', tmp_path)
    assert ran.stdout == 'quiet console=ttyS0,115200n8 "x=it\'s $HOME"'


@pytest.mark.parametrize('disks', [[], ['sda', 'sdb']])
def test_an_installer_that_finds_not_just_one_disk_reports_it_and_stays_there(tmp_path: Path, disks: list[str]) -> None:
    for name in disks:
        (tmp_path / 'block' / name).mkdir(parents=True)
        for file, value in {'size': '1000', 'removable': '0'}.items():
            (tmp_path / 'block' / name / file).write_text(value)
    (script,) = read(profile__disk_layout={'disk': 'only'})['early-commands']
    script = script.replace('/sys/block', f'{tmp_path}/block')
    sed = f'touch {tmp_path}/changed'
    ran = played(script, tmp_path, curl=f'echo "$@" >>{tmp_path}/said', sleep='kill -9 $PPID', sed=sed)
    assert ran.returncode == -9
    assert f'here are {len(disks)}' in (tmp_path / 'said').read_text()
    assert not (tmp_path / 'changed').exists()


def test_a_disk_that_is_not_there_ends_the_build_before_anything_is_erased(tmp_path: Path) -> None:
    (script,) = read(profile__disk_layout={'disk': '/dev/nowhere'})['early-commands']
    ran = played(script, tmp_path, curl=f'echo "$@" >>{tmp_path}/said', sleep='kill -9 $PPID', sed=':')
    assert ran.returncode == -9
    assert 'the disk /dev/nowhere of the disk layout is not there' in (tmp_path / 'said').read_text()


def test_the_end_is_reported_until_it_is_heard(tmp_path: Path) -> None:
    script = read()['late-commands'][-1]
    curl = f'echo >>{tmp_path}/asked; [ $(wc -l <{tmp_path}/asked) -ge 200 ]'
    assert played(script, tmp_path, curl=curl, sleep=':').returncode == 0
    assert (tmp_path / 'asked').read_text().count('\n') == 200


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'profile__disk_layout': {}}, 'names no disk'),
        (with_disks({'disk': 'smallest'}, *FOUR), 'fits 2 disks and is to fit 1'),
        ({'profile__disk_layout': {'disk': '/dev/sda', 'scheme': 'crypto'}}, 'crypto_secret'),
        (
            {
                'profile__disk_layout': {'disk': '/dev/sda', 'volumes': [{'mount': '/', 'grow': True}]},
                'machine__firmware': '',
            },
            'firmware of the machine has to be known',
        ),
        ({'parameters': {'upgrade': 'yes'}}, 'upgrade'),
        ({'parameters': {'root': {'password_hash': 'hunter2'}}}, 'crypt(3)'),
        ({'parameters': {'users': [{'name': '-rf /'}]}}, 'user name'),
    ],
)
def test_what_is_unsafe_or_missing_is_refused_in_words(changes: dict[str, Any], said: str) -> None:
    bundle = render(context(**changes), [TEMPLATE])
    assert not bundle.artifacts
    (error,) = bundle.errors
    assert said in error.message


HOSTILE = st.one_of(
    st.sampled_from(
        ['x\n    - reboot', '"', "'", '- x', '{a: b}', '#', '|', '\x00', '\x85x', '\u2028x', '{{ 7 }}', '&a *a',
         '@@substruct:token@@', '!!python/object:os.system', '%TAG', '\ttab', 'x: y', 'yes', '0x1f', '~']
    ),
    st.text(max_size=40),
)  # fmt: skip


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(HOSTILE)
def test_a_hostile_value_is_that_value_and_nothing_else(value: str) -> None:
    def found(name: str, late: str, package: str) -> dict[str, Any] | None:
        changes = {'parameters': {'late_commands': [late], 'packages': [package]}}
        bundle = render(context(machine__name=name, profile__name=name, **changes), [TEMPLATE])
        return None if bundle.errors else yaml.safe_load(filled(bundle.artifacts[0].content))['autoinstall']

    plain = found('x', 'x', 'x')
    assert plain is not None
    assert found(value, 'x', 'x') in (plain, None)
    if (other := found('x', value, 'x')) is not None:
        assert other['late-commands'][0][-1] == value
        assert {**other, 'late-commands': 0} == {**plain, 'late-commands': 0}
    if (other := found('x', 'x', value)) is not None:
        assert other['packages'] == [value]
        assert {**other, 'packages': 0} == {**plain, 'packages': 0}
