"""The disk layouts and networks that a preseed file makes, beyond what the matrix has checked."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from netbox_substruct.bundles import render

from .autoinstall import filled
from .machines import BOND, machine
from .samples import context, one, packaged
from .test_templates import selections

TEMPLATE = packaged('debian/preseed.cfg', 'preseed')
VOLUMES = [
    {'mount': '/', 'size_mb': 20480, 'fs': 'xfs'}, {'mount': '/var/lib', 'grow': True},
    {'mount': '/boot', 'size_mb': 2048}, {'mount': 'swap', 'size_mb': 8192},
]  # fmt: skip


def answers(**changes: Any) -> dict[str, str]:
    found = selections(filled(one(render(context(**changes), [TEMPLATE])), 'passphrase'))
    return {question: value for question, (_, value) in found.items()}


def parts(recipe: str) -> list[str]:
    """The parts of a recipe, each without the dot at its end."""
    return [part.strip() for part in recipe.partition('::')[2].split(' .') if part.strip()]


@pytest.mark.parametrize('scheme', ['regular', 'lvm', 'crypto'])
@pytest.mark.parametrize('raid', [None, 1, 10])
@pytest.mark.parametrize('firmware', ['bios', 'uefi', ''])
def test_every_layout_has_its_recipe(scheme: str, raid: int | None, firmware: str) -> None:
    disks = [f'/dev/sd{letter}' for letter in 'abcd'][: {None: 1, 1: 2, 10: 4}[raid]]
    layout = {'disk': disks, 'scheme': scheme, 'crypto_secret': 'luks/web', 'volumes': VOLUMES, 'volume_group': 'vg0'}
    if raid:
        layout['raid'] = raid
    changes = {'profile__disk_layout': layout, 'machine__firmware': firmware}
    if raid and (scheme == 'crypto' or not firmware):
        (error,) = render(context(**changes), [TEMPLATE]).errors
        assert ('encryption on a RAID' if firmware else 'firmware of the machine') in error.message
        return
    found = answers(**changes)
    assert found['partman-auto/method'] == ('raid' if raid else scheme)
    recipe = parts(found['partman-auto/expert_recipe'])
    assert sum('biosgrub' in part for part in recipe) == (firmware != 'uefi')
    assert sum('method{ efi }' in part for part in recipe) == (firmware != 'bios')
    for part in recipe:
        least, priority, most, kind, *_ = part.split()
        assert int(least) > 0 and int(priority) > 0 and (int(most) == -1 or int(most) >= int(least))
        assert kind in ('free', 'ext4', 'xfs', 'linux-swap', 'raid')
    (system,) = [part for part in recipe if '/var/lib }' in part] or [recipe[-1]]
    assert ('$lvmok{ }' in system) == (scheme != 'regular')
    assert ('partman-auto-lvm/new_vg_name' in found) == (scheme != 'regular')
    if raid:
        made = [part.split() for part in found['partman-auto-raid/recipe'].split(' .') if part]
        assert made[0] == ['1', str(len(disks)), '0', 'ext4', '/boot', 'raidid=1']
        assert {words[0] for words in made[1:]} == {str(raid)}
        ids = [f'raidid{{ {number} }}' for number in range(1, len(made) + 1)]
        assert [any(each in part for part in recipe) for each in ids] == [True] * len(ids)
    else:
        assert any('mountpoint{ /boot }' in part for part in recipe)


def test_disks_by_role_are_looked_up_by_the_installer_and_missed_aloud(tmp_path: Path) -> None:
    found = answers(profile__disk_layout={'disk': ['/dev/disk/by-id/a', '/dev/disk/by-id/b']})
    command = found['partman/early_command']
    programs = {
        'readlink': 'case $2 in *a) echo /dev/sda ;; *) echo /dev/sdb ;; esac',
        'debconf-set': f'echo "$@" >>{tmp_path}/taken',
        'wget': f'echo "$@" >>{tmp_path}/said', 'sleep': 'kill -9 $PPID',
    }  # fmt: skip
    for name, text in programs.items():
        (tmp_path / name).write_text(f'#!/bin/sh\n{text}\n')
        (tmp_path / name).chmod(0o755)
    environment = {'PATH': f'{tmp_path}:/usr/bin:/bin'}
    there = command.replace('[ -b ', '[ -n ')
    subprocess.run(['sh', '-c', there], check=True, env=environment)
    assert (tmp_path / 'taken').read_text() == (
        'partman-auto/disk /dev/sda /dev/sdb\ngrub-installer/bootdev /dev/sda /dev/sdb\n'
    )
    (tmp_path / 'taken').unlink()
    assert subprocess.run(['sh', '-c', command], check=False, env=environment).returncode == -9
    assert 'the disk /dev/disk/by-id/a of the disk layout is not there' in (tmp_path / 'said').read_text()
    assert not (tmp_path / 'taken').exists()


def test_where_the_address_is_not_on_the_boot_port_the_installer_asks_for_one() -> None:
    bond = machine(*BOND, booted='eno1')
    found = answers(**{name: bond[name] for name in ('interfaces', 'network')})
    assert 'netcfg/get_ipaddress' not in found
    assert 'netplan.io' in found['pkgsel/include'].split()
    assert '/etc/netplan/60-substruct.yaml' in found['preseed/late_command']


def test_one_port_with_one_address_is_left_to_the_installer() -> None:
    found = answers()
    assert found['netcfg/get_ipaddress'] == '10.1.2.5'
    assert 'netplan' not in found['preseed/late_command'] + found['pkgsel/include']


def test_ubuntu_comes_from_its_own_archive() -> None:
    found = answers(boot_image__platform={'name': 'Ubuntu 18.04', 'slug': 'ubuntu-18-04'})
    assert (found['mirror/http/hostname'], found['mirror/http/directory']) == ('archive.ubuntu.com', '/ubuntu')
    assert found['tasksel/first'] == 'server, openssh-server'


def test_a_recipe_of_ones_own_and_volumes_exclude_each_other() -> None:
    layout = {'disk': '/dev/sda', 'recipe': 'multi', 'volumes': VOLUMES}
    (error,) = render(context(profile__disk_layout=layout), [TEMPLATE]).errors
    assert 'one or the other' in error.message
