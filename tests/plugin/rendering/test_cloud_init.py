"""The library's templates for cloud-init: read by cloud-init and netplan themselves, for machines of every kind."""

import http.server
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netbox_substruct.bundles import markers, render
from netbox_substruct.context.naming import os_names
from tests.formats import cloud_init, netplan

from .machines import MACHINES, NET4, ONE, TWO, machine, port
from .samples import address, context, one, packaged

FULL: dict[str, Any] = {
    'locale': 'de_DE.UTF-8', 'keyboard': 'de', 'packages': ['vim', 'tmux'], 'upgrade': 'full-upgrade',
    'default_user': True, 'ssh_passwords': True,
    'root': {'password_hash': '$y$j9T$abc$def', 'ssh_keys': ['ssh-ed25519 AAAA root@x']},
    'users': [
        {'name': 'ada', 'full_name': "Ada O'Neil", 'password_hash': '$6$a$b', 'ssh_keys': ['ssh-ed25519 A'],
         'groups': ['adm', 'sudo'], 'sudo': True},
        {'name': 'bob'},
    ],
    'files': [{'path': '/etc/motd', 'content': 'hello: "you"\n', 'permissions': '0600', 'owner': 'root:adm'}],
    'late_commands': ["echo 'a b' >/etc/x", 'systemctl enable x || true'],
}  # fmt: skip
ntp = {'network__ntp_servers': ['10.1.0.123']}


def network(found: dict[str, Any]) -> str:
    return one(render(found, [packaged('cloud-init/network-config', 'network-config')]))


def user_data(**changes: Any) -> str:
    return one(render(context(**changes), [packaged('cloud-init/user-data', 'user-data')]))


def refused(found: dict[str, Any], name: str) -> str:
    bundle = render(found, [packaged(f'cloud-init/{name}', name)])
    assert not bundle.artifacts
    (error,) = bundle.errors
    return str(error.message)


# ---------------------------------------------------------------------- user-data and meta-data


@pytest.mark.parametrize(
    'changes',
    [
        {}, ntp, {'parameters': FULL}, {'parameters': {'root': {'password_secret': 'web/root'}}},
        {'parameters': {'grow': False, 'use_ntp': False, 'time_zone': 'UTC'}, **ntp}, {'machine__site': None},
        {'machine__name': 'odd "name"\n- x', 'machine__domain': '', 'machine__fqdn': 'web01'},
    ],
)  # fmt: skip
def test_cloud_init_takes_the_user_data(changes: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / 'user-data'
    # As the boot server fills in a secret, quoted for YAML.
    file.write_text(user_data(**changes).replace('@@substruct:secret:web/root:yaml@@', '"$6$a$b"'))
    ran = cloud_init('schema', '-c', file)
    assert (ran.returncode, ran.stderr) == (0, ''), ran.stdout
    assert 'Valid cloud-config' in ran.stdout


def test_the_user_data_says_what_netbox_and_the_parameters_say() -> None:
    text = user_data(parameters=FULL, **ntp)
    assert text.startswith('#cloud-config\n')
    found = yaml.safe_load(text)
    assert (found['hostname'], found['fqdn'], found['timezone']) == ('web01', 'web01.dc1.example.com', 'Europe/Berlin')
    assert found['ntp'] == {'enabled': True, 'servers': ['10.1.0.123']}
    default, root, ada, bob = found['users']
    assert default == 'default'
    assert (root['hashed_passwd'], root['ssh_authorized_keys']) == ('$y$j9T$abc$def', ['ssh-ed25519 AAAA root@x'])
    assert (ada['gecos'], ada['groups'], ada['lock_passwd']) == ("Ada O'Neil", ['adm', 'sudo'], False)
    assert 'NOPASSWD' in ada['sudo'] and bob['lock_passwd'] and 'sudo' not in bob
    assert found['growpart']['devices'] == ['/'] and found['resize_rootfs'] is True
    assert (found['packages'], found['package_upgrade'], found['disable_root']) == (['vim', 'tmux'], True, False)
    assert found['runcmd'] == [['sh', '/run/substruct-first-boot', *FULL['late_commands']]]
    assert found['phone_home']['url'] == f'{markers.BASE_URL}/build/{markers.TOKEN}/done'
    first, motd = found['write_files']
    assert first['path'] == '/run/substruct-first-boot', 'whatever becomes of the files behind it'
    assert (motd['content'], motd['permissions'], motd['owner']) == ('hello: "you"\n', '0600', 'root:adm')


def test_a_file_of_a_user_who_is_made_by_the_build_is_written_when_that_user_is_there() -> None:
    files = [{'path': f'/x/{n}', 'content': '', 'owner': owner} for n, owner in enumerate(('root', 'root:root', 'ada'))]
    found = yaml.safe_load(user_data(parameters={'users': [{'name': 'ada'}], 'files': files}))
    assert [one.get('defer', False) for one in found['write_files']] == [False, False, False, True]


def test_without_parameters_nobody_can_log_in_and_nothing_is_fetched() -> None:
    found = yaml.safe_load(user_data(network__ntp_servers=[]))
    assert found['users'] == [{'name': 'root', 'lock_passwd': True}]
    assert found['disable_root'] is True and found['ssh_pwauth'] is False
    assert not {'packages', 'package_update', 'package_upgrade', 'ntp'} & set(found)


@pytest.mark.parametrize(
    ('parameters', 'said'),
    [
        ({'root': {'password_hash': 'hunter2'}}, 'crypt(3)'),
        ({'users': [{'name': 'ada', 'password_hash': 'hunter2'}]}, 'crypt(3)'),
        ({'users': [{'name': '-rf /'}]}, 'user name'),
        ({'upgrade': 'yes'}, 'upgrade'),
    ],
)
def test_what_is_unsafe_is_refused_in_words(parameters: dict[str, Any], said: str) -> None:
    assert said in refused(context(parameters=parameters), 'user-data')


def test_each_build_is_an_instance_of_its_own() -> None:
    template = packaged('cloud-init/meta-data', 'meta-data')
    assert yaml.safe_load(one(render(context(build={'id': 7}), [template]))) == {
        'instance-id': 'substruct-build-7', 'local-hostname': 'web01.dc1.example.com'
    }  # fmt: skip
    assert yaml.safe_load(one(render(context(), [template])))['instance-id'] == 'substruct-preview'


# ---------------------------------------------------------------------- the first boot


class Heard(http.server.BaseHTTPRequestHandler):
    posts: list[tuple[str, str]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get('Content-Length', 0))).decode()
        self.posts.append((self.path, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def heard():
    Heard.posts = []
    with http.server.HTTPServer(('127.0.0.1', 0), Heard) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()


def first_boot(folder: Path, port: int, *commands: str, path: str = '/usr/bin:/bin') -> Any:
    """Runs the script of the user-data as cloud-init would, in a folder of its own."""
    script = yaml.safe_load(user_data())['write_files'][0]['content']
    script = script.replace(markers.BASE_URL, f'http://127.0.0.1:{port}').replace(markers.TOKEN, 'TOKEN')
    for before in ('/run/', '/var/log/'):
        script = script.replace(before, f'{folder}/')
    script = script.replace('sleep 3', 'sleep 0')
    (folder / 'script').write_text(script)
    return subprocess.run(
        ['/bin/sh', folder / 'script', *commands], capture_output=True, text=True, check=False, env={'PATH': path}
    )


def with_only(folder: Path, *names: str) -> str:
    """A PATH on which there is nothing else to speak HTTP with."""
    programs = folder / 'bin'
    programs.mkdir()
    for name in ('sh', 'tail', 'grep', 'sleep', *names):
        found = next((path for path in (Path('/usr/bin', name), Path('/bin', name)) if path.exists()), None)
        if found is None:
            pytest.skip(f'no {name} here')
        (programs / name).symlink_to(found)
    return str(programs)


@pytest.mark.parametrize('program', ['curl', 'wget', 'python3'])
def test_a_command_that_fails_ends_the_build_with_its_log_whatever_the_image_has(
    tmp_path: Path, heard: http.server.HTTPServer, program: str
) -> None:
    ran = first_boot(
        tmp_path, heard.server_port, 'echo "one of" two; echo err >&2', 'false', 'touch never',
        path=with_only(tmp_path, program),
    )  # fmt: skip
    assert ran.returncode == 1
    ((path, body),) = Heard.posts
    assert path == '/build/TOKEN/failed'
    assert body == (
        'A command of the first boot failed: false\n+ echo "one of" two; echo err >&2\none of two\nerr\n+ false\n'
    )


def test_a_failure_is_reported_until_it_is_heard_for_behind_it_comes_done(tmp_path: Path) -> None:
    programs = tmp_path / 'bin'
    programs.mkdir()
    curl = f'echo >>{tmp_path}/asked; [ $(wc -l <{tmp_path}/asked) -ge 50 ]'
    for name, text in {'curl': curl, 'sleep': ':'}.items():
        (programs / name).write_text(f'#!/bin/sh\n{text}\n')
        (programs / name).chmod(0o755)
    assert first_boot(tmp_path, 1, 'false', path=f'{programs}:/usr/bin:/bin').returncode == 1
    assert (tmp_path / 'asked').read_text().count('\n') == 50


def test_commands_that_succeed_leave_the_end_to_phone_home(tmp_path: Path, heard: http.server.HTTPServer) -> None:
    assert first_boot(tmp_path, heard.server_port, f'touch {tmp_path}/done', 'cat').returncode == 0
    assert (tmp_path / 'done').exists()
    assert Heard.posts == []


def test_warnings_of_cloud_init_itself_reach_the_log_of_the_build(
    tmp_path: Path, heard: http.server.HTTPServer
) -> None:
    line = '2026-11-21 12:00:00 - util.py[WARNING]: Failed to install packages: [vim]\n'
    (tmp_path / 'cloud-init.log').write_text(f'a - b[DEBUG]: fine\n{line}')
    assert first_boot(tmp_path, heard.server_port).returncode == 0
    assert Heard.posts == [('/build/TOKEN/log', line)]


# ---------------------------------------------------------------------- network-config


@pytest.mark.parametrize('found', MACHINES.values(), ids=MACHINES)
def test_netplan_takes_the_network_of_every_kind_of_machine(found: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / 'etc' / 'netplan'
    folder.mkdir(parents=True)
    file = folder / '50-cloud-init.yaml'
    file.write_text(yaml.safe_dump({'network': yaml.safe_load(network(found))}))
    file.chmod(0o600)
    ran = netplan(tmp_path)
    assert (ran.returncode, ran.stderr) == (0, '')
    assert list(tmp_path.glob('run/systemd/network/*')), 'it made something of it'


@pytest.mark.parametrize(
    ('distribution', 'renderer'),
    [('debian', 'eni'), ('debian', 'netplan'), ('debian', 'networkd'), ('rhel', 'sysconfig'),
     ('rhel', 'network-manager')],
)  # fmt: skip
def test_cloud_init_writes_it_for_every_distribution(distribution: str, renderer: str, tmp_path: Path) -> None:
    for number, found in enumerate(MACHINES.values()):
        file, out = tmp_path / f'{number}.yaml', tmp_path / f'{number}'
        text = network(found)
        file.write_text(text)
        names = [
            argument
            for name, value in yaml.safe_load(text).get('ethernets', {}).items()
            if 'macaddress' in value['match']
            for argument in ('-m', f'{name},{value["match"]["macaddress"]}')
        ]
        ran = cloud_init(
            'devel', 'net-convert', '-p', file, '-k', 'yaml', '-d', out, '-D', distribution, '-O', renderer, *names
        )
        assert ran.returncode == 0, f'{list(MACHINES)[number]}: {ran.stderr}'
        assert [path for path in out.rglob('*') if path.is_file()]


@pytest.mark.parametrize(
    ('distribution', 'renderer', 'expected'),
    [
        ('debian', 'eni', {'iface eno2 inet manual', 'bond-master bond0', 'vlan-raw-device bond0', '10.1.2.5/24'}),
        ('debian', 'netplan', {'lacp-rate: fast', 'link: bond0', '- 10.1.2.5/24'}),
        ('rhel', 'sysconfig', {'MASTER=bond0', 'TYPE=Bond', 'PHYSDEV=bond0', 'VLAN=yes', 'IPADDR=10.1.2.5'}),
        ('rhel', 'network-manager', {'slave-type=bond', 'mode=802.3ad', 'type=vlan', 'address1=10.1.2.5/24'}),
    ],
)  # fmt: skip
def test_a_bond_with_a_vlan_is_one_in_the_words_of_every_system_that_cloud_init_can_make_it_for(
    distribution: str, renderer: str, expected: set[str], tmp_path: Path
) -> None:
    """Not for systemd-networkd without netplan: cloud-init leaves out bonds and VLANs there, which docs/ says."""
    file, out = tmp_path / 'network-config', tmp_path / 'out'
    file.write_text(network(MACHINES['bond with a VLAN']))
    ran = cloud_init(
        'devel', 'net-convert', '-p', file, '-k', 'yaml', '-d', out, '-D', distribution, '-O', renderer,
        '-m', f'eno1,{ONE}', '-m', f'eno2,{TWO}',
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    written = '\n'.join(path.read_text() for path in out.rglob('*') if path.is_file())
    assert {words for words in expected if words not in written} == set(), written


def test_a_static_address_comes_with_gateway_and_name_servers() -> None:
    found = yaml.safe_load(network(MACHINES['both families and a second port']))
    assert found['version'] == 2
    assert set(found['ethernets']) == {'eno1', 'eno2'}, 'not what is for management only'
    first, second = found['ethernets']['eno1'], found['ethernets']['eno2']
    assert first == {
        'match': {'macaddress': ONE}, 'set-name': 'eno1', 'mtu': 9000, 'dhcp4': False, 'dhcp6': False,
        'addresses': ['10.1.2.5/24', '2001:db8::5/64'],
        'routes': [{'to': '0.0.0.0/0', 'via': '10.1.2.1'}, {'to': '::/0', 'via': '2001:db8::1'}],
        'nameservers': {'addresses': ['10.1.0.53', '10.1.1.53'], 'search': ['dc1.example.com']},
    }  # fmt: skip
    assert second['routes'] == [{'to': '10.9.0.0/16', 'via': '10.9.0.1', 'metric': 5}]
    assert 'nameservers' not in second


def test_before_an_address_is_primary_the_one_with_the_gateway_brings_the_name_servers() -> None:
    found = machine(
        port('eno1', ONE, address('10.9.0.5/24', primary=False)),
        port('eno2', TWO, address('10.1.2.5/24', primary=False, **NET4)),
    )
    first, second = yaml.safe_load(network(found))['ethernets'].values()
    assert 'nameservers' not in first
    assert second['nameservers']['addresses'] == ['10.1.0.53', '10.1.1.53']


def test_what_is_asked_for_is_asked_where_the_address_is_or_where_it_boots() -> None:
    for name in ('one port, DHCP by status', 'one port, no address', 'static although DHCP is wanted'):
        (found,) = yaml.safe_load(network(MACHINES[name]))['ethernets'].values()
        assert (found['dhcp4'], 'addresses' in found) == (True, False), name
    bond = yaml.safe_load(network(MACHINES['bond that asks']))
    assert bond['bonds']['bond0']['dhcp4'] is True
    assert {port['dhcp4'] for port in bond['ethernets'].values()} == {False}
    (six,) = yaml.safe_load(network(MACHINES['IPv6 by router advertisement']))['ethernets'].values()
    assert (six['accept-ra'], six['dhcp4'], six['dhcp6']) == (True, False, False)


def test_bonds_bridges_and_vlans_stand_on_what_belongs_to_them() -> None:
    found = yaml.safe_load(network(MACHINES['bond with a VLAN']))
    bond = found['bonds']['bond0']
    assert (bond['interfaces'], bond['mtu'], bond['parameters']['mode']) == (['eno1', 'eno2'], 9000, '802.3ad')
    upper = found['vlans']['bond0.100']
    assert (upper['id'], upper['link'], upper['addresses']) == (100, 'bond0', ['10.1.2.5/24'])
    found = yaml.safe_load(network(MACHINES['bridge over a bond']))
    assert found['bridges']['br0']['interfaces'] == ['bond0']
    found = yaml.safe_load(network(MACHINES['VLANs on a port, by their names']))
    assert {name: value['id'] for name, value in found['vlans'].items()} == {
        'eno1.200': 200, 'vlan300': 300, 'storage': 400
    }  # fmt: skip


def test_names_are_those_of_netbox_as_far_as_linux_can_have_them() -> None:
    found = yaml.safe_load(network(MACHINES['odd names']))
    assert list(found['ethernets']) == ['GigabitEth1-0-1', 'Port-2-x---y']
    kept = machine(port('eno1', ONE), parameters={'network': {'rename': False}})
    assert 'set-name' not in yaml.safe_load(network(kept))['ethernets']['eno1']


def test_what_cloud_init_cannot_make_is_left_out_and_said() -> None:
    text = network(MACHINES['loopback, and what cloud-init cannot make'])
    assert set(yaml.safe_load(text)['ethernets']) == {'eno1', 'lo'}
    assert '# "dummy0" is left out' in text


@pytest.mark.parametrize(
    ('found', 'said'),
    [
        (machine(port('eno1', '', address('10.1.2.5/24'))), 'eno1 is to be configured and has no MAC address'),
        (machine(port('bond0', '', address('10.1.2.5/24'), type='lag')), 'bond0 has no interface that belongs to it'),
        (
            machine(port('eno1', ONE), port('up', '', address('10.1.2.5/24'), type='virtual', parent='eno1')),
            'nothing says which VLAN the interface up is in',
        ),
        (
            machine(
                port('eno1', ONE, enabled=False),
                port('eno1.5', '', address('10.1.2.5/24'), type='virtual', parent='eno1'),
            ),
            'eno1.5 stands on eno1, which is disabled',
        ),
        (machine(port('eno1', ONE, enabled=False)), 'no interface in NetBox'),
        (machine(port('eno1', ONE), parameters={'network': {'method': 'magic'}}), 'network.method'),
    ],
)
def test_what_cannot_be_configured_is_refused_in_words(found: dict[str, Any], said: str) -> None:
    if 'no interface in NetBox' in said:
        found = {**found, 'network': {**found['network'], 'interface': ''}}
    assert said in refused(found, 'network-config')


@pytest.mark.parametrize(
    ('names', 'called'),
    [
        (['eno1', 'bond0.100', 'ens3f0np0'], ['eno1', 'bond0.100', 'ens3f0np0']),
        (['GigabitEthernet1/0/1', 'GigabitEthernet1/0/2'], ['GigabitEth1-0-1', 'GigabitEth1-0-2']),
        (['Ethernet interface one', 'Ethernet interface two'], ['Ethernet-interf', 'Ethernet-inte_2']),
        (['a b', 'a/b', 'a:b'], ['a-b', 'a-b_2', 'a-b_3']),
        (['', '..', 'default', '日本'], ['if', 'if-', 'if-default', 'if_2']),
    ],
)
def test_every_interface_has_a_name_that_linux_can_have(names: list[str], called: list[str]) -> None:
    assert os_names(names) == called
    assert len(set(called)) == len(called) and max(map(len, called)) <= 15


# ---------------------------------------------------------------------- hostile values

HOSTILE = st.one_of(
    st.sampled_from(
        ['x\nruncmd: [reboot]', '"', "'", '- x', '{a: b}', '#', '|', '\x00', '\x85x', '\u2028x', '{{ 7 }}', '&a *a',
         '@@substruct:token@@', '!!python/object:os.system', '%TAG', '\ttab', 'x: y', 'yes', '0x1f', '~']
    ),
    st.text(max_size=40),
)  # fmt: skip


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(HOSTILE)
def test_a_hostile_value_is_that_value_and_nothing_else(value: str) -> None:
    plain = yaml.safe_load(user_data(parameters={'late_commands': ['x'], 'packages': ['x']}))
    for changes, where in (
        ({'machine__name': value}, None),
        ({'profile__name': value}, None),
        ({'parameters': {'late_commands': [value], 'packages': ['x']}}, 'runcmd'),
        ({'parameters': {'late_commands': ['x'], 'packages': [value]}}, 'packages'),
    ):
        changes = {'parameters': {'late_commands': ['x'], 'packages': ['x']}, **changes}
        bundle = render(context(**changes), [packaged('cloud-init/user-data', 'user-data')])
        if bundle.errors:
            continue
        found = yaml.safe_load(bundle.artifacts[0].content)
        assert {key: found[key] for key in found if key != where} == {key: plain[key] for key in plain if key != where}
        if where == 'runcmd':
            assert found[where][0][2:] == [value]
        elif where:
            assert found[where] == [value]
