"""What a kickstart file does, beyond what the matrix has checked: ports, disks, reports, and what is refused."""

import configparser
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netbox_substruct.bundles import render
from tests.formats import ksvalidator

from .machines import FOUR, machine, port, with_disks
from .matrix import MACHINES, after_pre
from .samples import address, context, one, packaged

TEMPLATE = packaged('redhat/kickstart.cfg', 'kickstart')
ROCKY = {'boot_image__platform': {'name': 'Rocky 9', 'slug': 'rocky-9'}}


def kickstart(**changes: Any) -> str:
    return one(render(context(**{**ROCKY, **changes}), [TEMPLATE]))


def of(machine: str, release: str = 'rocky-9') -> str:
    found = MACHINES[machine](boot_image__platform={'name': release, 'slug': release})
    found['parameters'] = {'mirror': {'url': 'http://m/'}, **found['parameters']}
    return one(render(found, [TEMPLATE]))


def commands(text: str, name: str) -> list[list[str]]:
    """The words of each command of a name, outside of sections."""
    return [line.split()[1:] for line in text.split('\n%packages')[0].split('\n') if line.split()[:1] == [name]]


def section(text: str, name: str) -> str:
    return text.split(f'\n%{name}', 1)[1].split('\n', 1)[1].split('\n%end', 1)[0]


def played(script: str, folder: Path, **programs: str) -> subprocess.CompletedProcess[str]:
    """Runs a script with these programs instead of the real ones."""
    for name, does in programs.items():
        (folder / name).write_text(f'#!/bin/sh\n{does}\n')
        (folder / name).chmod(0o755)
    return subprocess.run(
        ['bash', '-c', script], env={'PATH': f'{folder}:/usr/bin:/bin'}, capture_output=True, text=True, check=False
    )


def test_a_bond_has_the_ports_that_have_its_mac_addresses(tmp_path: Path) -> None:
    (_, bond) = commands(after_pre(of('bond of two, with a VLAN'), tmp_path), 'network')
    assert '--bondslaves=eth0,eth1' in bond
    assert '--bondopts=mode=802.3ad,lacp_rate=fast,miimon=100,xmit_hash_policy=layer3+4' in bond
    assert {'--device=bond0', '--noipv4', '--noipv6', '--mtu=9000', '--no-activate'} <= set(bond)


def test_a_static_address_comes_with_gateway_and_name_servers(tmp_path: Path) -> None:
    (_, first, second) = commands(after_pre(of('two ports, two families, routes'), tmp_path), 'network')
    assert {'--ip=10.1.2.5', '--netmask=255.255.255.0', '--gateway=10.1.2.1', '--ipv6=2001:db8::5/64',
            '--ipv6gateway=2001:db8::1', '--nameserver=10.1.0.53,10.1.1.53', '--mtu=9000'} <= set(first)  # fmt: skip
    assert '--ip=10.9.0.5' in second and not any('gateway' in word for word in second)


@pytest.mark.parametrize(('release', 'file'), [('rocky-9', 'bond0.100.nmconnection'), ('alma-8', 'ifcfg-bond0.100')])
def test_a_vlan_is_written_into_the_installed_system(tmp_path: Path, release: str, file: str) -> None:
    script = section(of('bond of two, with a VLAN', release), 'post').split('\n! command')[0]
    script = script.replace('/etc/NetworkManager/system-connections', str(tmp_path))
    script = script.replace('/etc/sysconfig/network-scripts', str(tmp_path))
    assert played(script, tmp_path).returncode == 0
    if release == 'rocky-9':
        found = configparser.ConfigParser()
        found.read(tmp_path / file)
        assert dict(found['vlan']) == {'id': '100', 'parent': 'bond0'}
        assert found['ipv4']['address1'] == '10.1.2.5/24'
        assert found['ipv4']['gateway'] == '10.1.2.1'
        assert found['ipv4']['dns'] == '10.1.0.53;10.1.1.53;'
        assert (tmp_path / file).stat().st_mode & 0o777 == 0o600
    else:
        found = dict(line.split('=', 1) for line in (tmp_path / file).read_text().split('\n') if line)
        assert (found['PHYSDEV'], found['VLAN_ID'], found['IPADDR'], found['PREFIX'], found['GATEWAY']) == (
            'bond0', '100', '10.1.2.5', '24', '10.1.2.1'
        )  # fmt: skip


@pytest.mark.parametrize(('release', 'file'), [('rocky-9', 'bond0.nmconnection'), ('alma-8', 'ifcfg-bond0')])
def test_a_bridge_over_a_bond_is_written_into_the_installed_system(tmp_path: Path, release: str, file: str) -> None:
    script = section(of('bridge over a bond', release), 'post').split('\n! command')[0]
    script = script.replace('/etc/NetworkManager/system-connections', str(tmp_path))
    script = script.replace('/etc/sysconfig/network-scripts', str(tmp_path))
    # What the installer has made of the command for the bond.
    (tmp_path / file).write_text('[connection]\ninterface-name=bond0\n' if release == 'rocky-9' else 'DEVICE=bond0\n')
    assert played(script, tmp_path).returncode == 0
    if release == 'rocky-9':
        found = configparser.ConfigParser()
        found.read([tmp_path / file, tmp_path / 'br0.nmconnection'])
        assert dict(found['bridge']) == {'stp': 'false'}
        assert found['ipv4']['address1'] == '10.1.2.5/24'
        found = configparser.ConfigParser()
        found.read(tmp_path / file)
        assert dict(found['connection']) == {'interface-name': 'bond0', 'master': 'br0', 'slave-type': 'bridge'}
    else:
        assert 'TYPE=Bridge\nSTP=no\n' in (tmp_path / 'ifcfg-br0').read_text()
        assert (tmp_path / file).read_text() == 'DEVICE=bond0\nBRIDGE=br0\n'


@pytest.mark.parametrize('disks', [[], ['sda', 'sdb']])
def test_an_installer_that_finds_not_just_one_disk_reports_it_and_stays_there(tmp_path: Path, disks: list[str]) -> None:
    script = section(kickstart(profile__disk_layout={'disk': 'only'}), 'pre')
    for name in disks:
        (tmp_path / 'block' / name).mkdir(parents=True)
        for file, value in {'size': '1000', 'removable': '0'}.items():
            (tmp_path / 'block' / name / file).write_text(value)
    script = script.replace('/sys/block', f'{tmp_path}/block').replace('/tmp/substruct', f'{tmp_path}/substruct')
    ran = played(script, tmp_path, curl=f'echo "$@" >>{tmp_path}/said', sleep='kill -9 $PPID')
    assert ran.returncode == -9
    assert f'here are {len(disks)}' in (tmp_path / 'said').read_text()
    assert not (tmp_path / 'substruct-disk').exists()


def test_a_port_or_a_disk_that_is_not_there_ends_the_build_before_anything_is_erased(tmp_path: Path) -> None:
    for said, there in (('the disk /dev/sda of', 'false'), ('no port with the MAC address 52:54:00:12:34:56', 'true')):
        script = section(kickstart(), 'pre').replace('[ -b "$disk" ]', there)
        script = script.replace('/sys/class/net', f'{tmp_path}/net').replace('/tmp/substruct', f'{tmp_path}/substruct')
        played(script, tmp_path, curl=f'echo "$@" >>{tmp_path}/said', sleep='kill -9 $PPID')
        assert said in (tmp_path / 'said').read_text()
        assert not (tmp_path / 'substruct-network').exists()


def test_a_command_that_fails_is_reported_with_what_it_said_and_done_is_not(tmp_path: Path) -> None:
    script = section(kickstart(parameters={'late_commands': ['echo oh; false', f'touch {tmp_path}/never']}), 'post')
    script = script.replace('/tmp/substruct', f'{tmp_path}/substruct').replace('restorecon', 'true')
    played(script, tmp_path, curl=f'echo "$@" >>{tmp_path}/said', sleep='kill -9 $PPID')
    said = (tmp_path / 'said').read_text()
    assert 'a command of the installation failed: echo oh; false\noh' in said
    assert '/done' not in said
    assert not (tmp_path / 'never').exists()


def test_the_end_is_reported_until_it_is_heard(tmp_path: Path) -> None:
    script = section(kickstart(), 'post').replace('restorecon', 'true')
    curl = f'echo >>{tmp_path}/asked; [ $(wc -l <{tmp_path}/asked) -ge 200 ]'
    assert played(script, tmp_path, curl=curl, sleep=':').returncode == 0
    assert (tmp_path / 'asked').read_text().count('\n') == 200


def test_a_machine_with_many_ports_stays_far_within_what_a_rendering_may_cost() -> None:
    """Also beside the other artifacts of its bundle: every loop is over few, or goes through them once."""
    ports = [
        port(f'eno{number}', f'52:54:00:00:01:{number:02x}', address(f'10.{number}.2.5/24', primary=number == 0))
        for number in range(40)
    ]
    ports += [port(f'x{number}', f'52:54:00:01:{number // 256:02x}:{number % 256:02x}') for number in range(300)]
    network = packaged('cloud-init/network-config', 'network-config')
    bundle = render(machine(*ports, **ROCKY), [TEMPLATE, network, packaged('debian/preseed.cfg', 'preseed')])
    assert not bundle.errors
    assert bundle.get('kickstart').content.count('\nnetwork ') == 1 + 40


@pytest.mark.parametrize('scheme', ['regular', 'lvm', 'crypto'])
@pytest.mark.parametrize('raid', [None, 1, 10])
@pytest.mark.parametrize('firmware', ['bios', 'uefi'])
def test_every_layout_is_taken(scheme: str, raid: int | None, firmware: str, tmp_path: Path) -> None:
    layout = {
        'disk': '/dev/sda' if raid is None else [f'/dev/sd{letter}' for letter in 'abcd'][: 2 if raid == 1 else 4],
        'scheme': scheme, 'crypto_secret': 'luks/web', 'volume_group': 'vg0',
        'volumes': [
            {'mount': '/', 'size_mb': 20480, 'fs': 'ext4'}, {'mount': '/var/lib', 'grow': True},
            {'mount': '/boot', 'size_mb': 2048}, {'mount': 'swap', 'size_mb': 8192},
        ],
    }  # fmt: skip
    if raid:
        layout['raid'] = raid
    text = kickstart(profile__disk_layout=layout, machine__firmware=firmware)
    file = tmp_path / 'ks'
    file.write_text('\n'.join(line for line in text.split('\n') if not line.startswith('%include')))
    assert ksvalidator(file, 'RHEL9') == (0, '')
    volumes = {'regular': commands(text, 'part') + commands(text, 'raid')}.get(scheme, commands(text, 'logvol'))
    assert {'/', '/var/lib', 'swap'} <= {words[0] for words in volumes}
    (boot,) = [words for words in commands(text, 'part') + commands(text, 'raid') if words[0] == '/boot']
    assert ('--level=1' in boot) == bool(raid)
    encrypted = [words for words in commands(text, 'part') + commands(text, 'raid') if '--encrypted' in words]
    assert len(encrypted) == (1 if scheme == 'crypto' else 0)


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'profile__disk_layout': {}}, 'names no disk'),
        (with_disks({'disk': 'smallest'}, *FOUR), 'fits 2 disks and is to fit 1'),
        ({'profile__disk_layout': {'disk': '/dev/sda', 'scheme': 'zfs'}}, 'scheme'),
        ({'profile__disk_layout': {'disk': '/dev/sda', 'scheme': 'crypto'}}, 'crypto_secret'),
        ({'profile__disk_layout': {'disk': ['/dev/sda', '/dev/sdb'], 'scheme': 'regular'}}, 'takes one'),
        ({'profile__disk_layout': {'disk': ['/dev/sda', '/dev/sdb'], 'raid': 1}, 'machine__firmware': ''}, 'firmware'),
        (with_disks({'disk': ['first-nvme', 'largest'], 'raid': 1}, *FOUR, machine__firmware='bios'), 'than 2 TiB'),
        ({'profile__disk_layout': {'disk': '/dev/sda', 'volume_group': 'a b'}}, 'impossible name'),
        ({'profile__disk_layout': {'disk': '/dev/sda', 'volumes': [{'mount': 'x'}]}}, 'no mount point'),
        ({'profile__disk_layout': {'disk': '/dev/sda', 'volumes': [{'mount': '/'}]}}, 'no size'),
        ({'profile__disk_layout': {'disk': '/dev/sda', 'volumes': [{'mount': 'swap', 'size_mb': 5}]}}, 'have no "/"'),
        ({'boot_image__platform': None}, 'which distribution'),
        ({'boot_image__platform': {'name': 'x', 'slug': 'rocky-linux'}}, 'which release of rocky'),
        ({'boot_image__platform': {'name': 'x', 'slug': 'rhel-9'}}, 'mirror.url is not set'),
        ({'parameters': {'repositories': [{'name': 'x'}]}}, 'repositories'),
        ({'parameters': {'selinux': 'off'}}, 'selinux'),
        ({'parameters': {'packages': ['vim x']}}, 'no package'),
        ({'parameters': {'late_commands': ['x\n%end\nreboot']}}, 'begins with %'),
        ({'parameters': {'root': {'password_hash': 'hunter2'}}}, 'crypt(3)'),
        ({'parameters': {'users': [{'name': '-rf /'}]}}, 'user name'),
        ({'parameters': {'root': {'ssh_keys': ['a\nb']}}}, 'line break'),
    ],
)  # fmt: skip
def test_what_is_unsafe_or_missing_is_refused_in_words(changes: dict[str, Any], said: str) -> None:
    bundle = render(context(**{**ROCKY, **changes}), [TEMPLATE])
    assert not bundle.artifacts
    (error,) = bundle.errors
    assert said in error.message


HOSTILE = st.one_of(
    st.sampled_from([
        'x\nreboot', 'x\x0b%end\x0breboot', 'x\u2028%end\u2028reboot', '%end', '%include /etc/passwd', '"; reboot; "',
        "'; reboot; '", '$(reboot)', '`reboot`', '\\', '# x', '--flag', '\x00', '\x85x', '@@substruct:token@@', 'END',
    ]),
    st.text(max_size=30),
)  # fmt: skip


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(HOSTILE)
def test_a_hostile_value_changes_no_other_line(value: str) -> None:
    plain = {'full_name': 'x', 'late': 'x', 'name': 'x', 'locale': 'x', 'called': 'x'}

    def lines(**values: str) -> list[str] | None:
        found = {**plain, **values}
        made = context(
            **ROCKY, machine__name=found['name'], profile__name=found['name'],
            parameters={'users': [{'name': 'ada', 'full_name': found['full_name']}], 'locale': found['locale'],
                        'late_commands': [found['late']]},
        )  # fmt: skip
        made['interfaces'][0]['name'] = found['called']
        bundle = render(made, [TEMPLATE])
        # As pykickstart cuts a file into lines.
        return None if bundle.errors else bundle.artifacts[0].content.splitlines()

    expected = lines()
    assert expected is not None
    for name in plain:
        found = lines(**{name: value})
        # A command may have several lines, and no interface of NetBox is without a name.
        if found is None or (name == 'late' and len(f'{value}.'.splitlines()) > 1) or (name == 'called' and not value):
            continue
        assert len(found) == len(expected), name
        assert sum(one != other for one, other in zip(found, expected, strict=True)) <= 1, name
