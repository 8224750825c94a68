"""What a machine's boot loader is told, asked over real HTTP."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from substruct_sidecar.boot.problems import Problems
from substruct_sidecar.claims import token_key
from substruct_sidecar.plan import Problem
from tests.sidecar.boot.serving import BootServer

MAC = '02:00:00:00:00:01'
OTHER = '02:00:00:00:00:02'
UUID = '4c4c4544-0035-3510-8052-b4c04f4a3132'
SWAPPED = '44454c4c-3500-1035-8052-b4c04f4a3132'


@pytest.fixture
def server(tmp_path: Path) -> Iterator[BootServer]:
    with BootServer(tmp_path) as made:
        yield made


def test_a_machine_under_build_gets_its_script_with_url_and_token_filled_in(server: BootServer) -> None:
    srv = server.building('srv-1', mac=MAC)
    server.world.sync()
    said = server.script(mac='02-00-00-00-00-01', arch='i386', platform='pcbios')
    assert said.status == 200
    assert said.text.startswith('#!ipxe\necho Substruct: srv-1 boots build ')
    assert 'kernel http://10.60.0.1:8080/files/' in said.text
    assert srv.build is not None
    assert f'token={srv.build.token}' in said.text
    assert '@@substruct' not in said.text


@pytest.mark.parametrize(
    'query',
    [
        {'mac': MAC.upper()}, {'mac': '0200.0000.0001'}, {'uuid': UUID}, {'uuid': SWAPPED.upper()},
        {'serial': ' abc123 '}, {'mac': 'ff:ff:ff:ff:ff:ff', 'uuid': UUID}, {'mac': OTHER, 'serial': 'ABC123'},
    ],
)  # fmt: skip
def test_it_is_known_by_any_of_its_identifiers(server: BootServer, query: dict[str, str]) -> None:
    server.building('srv-1', mac=MAC, uuid=UUID, serial='ABC123')
    server.world.sync()
    assert 'srv-1 boots build' in server.script(**query).text


def test_a_path_with_its_mac_address_does_too(server: BootServer) -> None:
    server.building('srv-1', mac=MAC)
    server.world.sync()
    assert 'srv-1 boots build' in server.get('/boot.ipxe/02-00-00-00-00-01').text


def test_identifiers_of_two_machines_install_neither_and_people_are_told(server: BootServer) -> None:
    server.building('srv-1', mac=MAC)
    server.building('srv-2', mac=OTHER, uuid=UUID)
    server.world.sync()
    said = server.script(mac=MAC, uuid=UUID).text
    assert 'token=' not in said
    assert 'srv-1, srv-2' in said
    assert 'sanboot' in said
    assert server.messages() == []


def test_a_mac_address_of_two_machines_installs_neither(server: BootServer) -> None:
    server.building('srv-1', mac=MAC)
    server.building('srv-2', mac=MAC, uuid=UUID)
    server.world.sync()
    for query in ({'mac': MAC}, {'mac': MAC, 'uuid': UUID}):
        said = server.script(**query).text
        assert 'token=' not in said
        assert 'sanboot' in said


@pytest.mark.parametrize('query', [{'mac': MAC}, {'serial': 'ABC123'}, {'mac': MAC, 'serial': 'ABC123'}])
@pytest.mark.parametrize('asked_for', ['build', 'wipe'])
def test_a_machine_with_another_uuid_than_netbox_knows_is_another_one_and_keeps_its_disk(
    server: BootServer, query: dict[str, str], asked_for: str
) -> None:
    """A card that was moved took its MAC address along, or two boards share a serial number."""
    srv = server.building('srv-1', mac=MAC, uuid=UUID, serial='ABC123')
    server.local_prospector()
    server.world.add_script('wipe', '#!ipxe\necho token=wipe\n', 'x86_64')
    server.world.boots(srv, asked_for)
    server.world.sync()
    said = server.script(uuid='4c4c4544-0035-3510-8052-b4c04f4a3133', **query).text
    assert 'token=' not in said
    assert 'sanboot' in said
    assert 'correct the UUID in NetBox' in said
    assert server.messages() == []
    assert 'token=' in server.script(uuid=SWAPPED, **query).text, 'the other byte order is no other machine'


def test_whoever_says_many_uuids_hides_no_other_problem(tmp_path: Path) -> None:
    problems = Problems(tmp_path / 'http.json', clock=iter(range(10_000)).__next__)
    problems.met(Problem('http', 'machine', 1, 'srv-1', 'waits for a secret'))
    for number in range(1000):
        problems.met(Problem('http', 'machine', 2, 'srv-2', f'says UUID {number}'))
    found = problems.now()
    assert [one.name for one in found].count('srv-2') == 8
    assert found[0].name == 'srv-1' and found[-1].message == 'says UUID 999'


def test_with_another_uuid_it_may_still_be_looked_at(server: BootServer) -> None:
    server.local_prospector()
    server.world.add_script('discover', '#!ipxe\necho looks\n', 'x86_64')
    server.world.add_machine('srv-1', mac=MAC, uuid=UUID, boot='discovery', state='discovered')
    server.world.sync()
    assert 'echo looks' in server.script(mac=MAC, uuid='4c4c4544-0035-3510-8052-b4c04f4a3133').text


def test_whatever_a_serial_number_is_made_of_a_conflict_is_told(server: BootServer) -> None:
    server.building('srv-1', mac=MAC)
    server.building('srv-2', mac=OTHER, serial='{0} {X.Y}')
    server.world.sync()
    said = server.script(mac=MAC, serial='{0} {X.Y}')
    assert said.status == 200
    assert 'token=' not in said.text
    assert 'srv-1, srv-2' in said.text


def test_a_card_that_netbox_has_switched_off_where_it_was_is_the_new_machine_s(server: BootServer) -> None:
    off = server.world.interface('eth0', mac=MAC, enabled=False)
    old = server.world.add_machine('old', interfaces=[off], boot_mac=MAC, boot='local')
    server.world.sync()
    assert 'old boots its own disk' in server.script(mac=MAC).text
    server.building('srv-1', mac=MAC)
    server.world.sync()
    assert 'srv-1 boots build' in server.script(mac=MAC).text
    assert old.boot_mac == MAC


def test_a_uuid_of_two_machines_is_settled_by_the_mac_address(server: BootServer) -> None:
    server.building('srv-1', mac=MAC, uuid=UUID)
    server.world.add_machine('srv-2', mac=OTHER, uuid=UUID, boot='local')
    server.world.sync()
    assert 'srv-1 boots build' in server.script(mac=MAC, uuid=UUID).text
    assert 'token=' not in server.script(uuid=UUID).text


@pytest.mark.parametrize(
    ('method', 'line'),
    [('sanboot', 'sanboot --no-describe --drive 0x80 || exit 1'), ('exit', 'exit 1'), (None, 'iseq ${platform} efi')],
)
def test_a_machine_with_nothing_to_do_boots_its_disk_the_way_its_firmware_does(
    server: BootServer, method: str | None, line: str
) -> None:
    server.world.add_machine('srv-1', mac=MAC, boot='local', local_method=method)
    server.world.sync()
    said = server.script(mac=MAC).text
    assert line in said
    assert 'srv-1 boots its own disk. It is so in this test.' in said


def test_the_feed_s_own_script_for_the_local_disk_wins(server: BootServer) -> None:
    server.world.add_script('local', '#!ipxe\nsanboot --drive 0x81\n', 'sanboot')
    server.world.add_script('local', '#!ipxe\necho any at @@substruct:base-url@@\nexit 1\n')
    server.world.add_machine('srv-1', mac=MAC, boot='local', local_method='sanboot')
    server.world.add_machine('srv-2', mac=OTHER, boot='local', local_method='exit')
    server.world.sync()
    assert '0x81' in server.script(mac=MAC).text
    assert 'any at http://10.60.0.1:8080' in server.script(mac=OTHER).text


def test_a_build_waits_for_its_boot_files(server: BootServer) -> None:
    server.building('srv-1', mac=MAC)
    server.world.sync()
    name = next(iter(server.files.names()))
    kept = (server.files.folder / name).read_bytes()
    server.files.remove(name)
    said = server.script(mac=MAC).text
    assert 'waits: the boot server is still fetching a boot file' in said
    assert 'chain --replace --autofree http://10.60.0.1:8080/boot.ipxe?mac=${netX/mac:hexhyp}' in said
    assert server.messages() == []
    server.file(kept)
    assert 'token=' in server.script(mac=MAC).text


def test_a_build_waits_for_all_of_its_artifacts(server: BootServer) -> None:
    srv = server.building('srv-1', mac=MAC)
    assert srv.build is not None
    late = server.artifact(900, 'preseed', 'preseed.cfg', 'd-i x\n', here=False)
    server.world.change(srv, build=server.world.build(srv, artifacts=[*srv.build.artifacts, late]))
    server.world.sync()
    assert 'waits: the boot server has not fetched preseed.cfg' in server.script(mac=MAC).text


def test_when_a_build_has_ended_its_machine_boots_its_disk_at_once(server: BootServer) -> None:
    srv = server.building('srv-1', mac=MAC)
    server.world.sync()
    assert srv.build is not None
    assert 'token=' in server.script(mac=MAC).text
    assert server.post(f'/build/{srv.build.token}/done').status == 200
    for _ in range(2):
        said = server.script(mac=MAC).text
        assert 'token=' not in said
        assert 'sanboot' in said
        assert f'Build _{srv.build.id} has ended' in said
    # A new build of the same machine is another one.
    server.world.change(
        srv, build=server.world.build(srv, token='another-token-of-srv-1', artifacts=srv.build.artifacts)
    )
    server.world.sync()
    assert 'token=another-token' in server.script(mac=MAC).text


@pytest.mark.parametrize('action', ['wipe', 'rescue'])
def test_what_was_asked_for_once_is_served_once(server: BootServer, action: str) -> None:
    server.local_prospector()
    server.world.add_script(
        action, f'#!ipxe\nkernel @@substruct:base-url@@/prospector/x86_64/vmlinuz {action}\n', 'x86_64'
    )
    srv = server.world.add_machine('srv-1', mac=MAC, boot=action)
    server.world.sync()
    assert f'vmlinuz {action}' in server.script(mac=MAC).text
    assert [(one.type, one.machine, one.action) for one in server.messages()] == [('served-once', srv.id, action)]
    assert 'sanboot' in server.script(mac=MAC).text
    # NetBox has not heard of it and says the same again, with something else changed; still no second time.
    server.world.change(srv, name='srv-1-renamed')
    server.world.sync(snapshot=True)
    server.stop()
    server.start()
    said = server.script(mac=MAC).text
    assert 'vmlinuz' not in said
    assert 'was served: its own disk' in said
    assert len(server.messages()) == 1


def test_whoever_only_looks_uses_up_nothing(server: BootServer) -> None:
    server.world.add_script('wipe', '#!ipxe\necho erased\n', 'x86_64')
    server.building('srv-2', mac=OTHER)
    server.world.add_machine('srv-1', mac=MAC, boot='wipe')
    server.world.sync()
    for mac in (MAC, OTHER):
        said = server.ask('HEAD', f'/boot.ipxe?mac={mac}')
        assert (said.status, said.body) == (200, b'')
    assert server.messages() == []
    assert 'echo erased' in server.script(mac=MAC).text


def test_a_wipe_is_not_used_up_while_the_prospector_is_not_there(server: BootServer) -> None:
    server.world.add_script('wipe', '#!ipxe\nkernel @@substruct:base-url@@/prospector/x86_64/vmlinuz wipe\n', 'x86_64')
    server.world.add_machine('srv-1', mac=MAC, boot='wipe')
    server.world.sync()
    assert 'waits: this boot server has no prospector for x86_64' in server.script(mac=MAC).text
    assert server.messages() == []
    server.local_prospector()
    assert 'vmlinuz wipe' in server.script(mac=MAC).text


def test_a_wipe_without_a_script_erases_nothing(server: BootServer) -> None:
    server.world.add_machine('srv-1', mac=MAC, boot='wipe')
    server.world.sync()
    assert 'waits: NetBox has sent no script _wipe_ for x86_64' in server.script(mac=MAC).text


def test_a_discovered_machine_is_discovered_again_and_again(server: BootServer) -> None:
    server.local_prospector()
    server.world.add_script('discover', '#!ipxe\nkernel @@substruct:base-url@@/prospector/x86_64/vmlinuz\n', 'x86_64')
    server.world.add_machine('m-1', mac=MAC, boot='discovery', state='discovered')
    server.world.sync()
    for _ in range(2):
        assert 'prospector/x86_64/vmlinuz' in server.script(mac=MAC).text


def test_an_unknown_machine_is_discovered_where_discovery_is_on(server: BootServer) -> None:
    server.local_prospector('aarch64')
    server.world.add_script('discover', '#!ipxe\nkernel @@substruct:base-url@@/prospector/aarch64/vmlinuz\n', 'aarch64')
    wide = server.world.add_subnet('127.0.0.0/8', discovery_enabled=False)
    server.world.sync()
    said = server.script(mac=OTHER, arch='arm64').text
    assert 'discovery is off in 127.0.0.0/8' in said
    assert said.endswith('exit 1\n')
    server.world.add_subnet('127.0.0.0/24', discovery_enabled=True)
    server.world.sync()
    assert 'kernel http://10.60.0.1:8080/prospector/aarch64/vmlinuz' in server.script(mac=OTHER, arch='arm64').text
    assert 'NetBox has sent no script' in server.script(mac=OTHER, arch='x86_64').text
    server.world.remove(wide)


def test_an_unknown_machine_in_no_subnet_is_told_so(server: BootServer) -> None:
    server.world.add_machine('srv-1', mac=MAC, boot='local')
    server.world.sync()
    said = server.script(mac=OTHER).text
    assert 'is in no subnet of this boot server' in said
    assert said.endswith('exit 1\n')


def test_the_same_prefix_in_two_vrfs_discovers_only_if_both_want_it(server: BootServer) -> None:
    server.local_prospector()
    server.world.add_script('discover', '#!ipxe\nboot\n', 'x86_64')
    server.world.add_subnet('127.0.0.0/24', discovery_enabled=True, vrf='red')
    blue = server.world.add_subnet('127.0.0.0/24', discovery_enabled=False, vrf='blue')
    server.world.sync()
    assert 'discovery is off' in server.script(mac=OTHER).text
    server.world.change(blue, discovery_enabled=True)
    server.world.sync()
    assert 'discovery is on' in server.script(mac=OTHER).text


def test_without_any_state_a_machine_is_told_to_wait(tmp_path: Path) -> None:
    with BootServer(tmp_path) as server:
        server.world.state.close()
        for path in server.folder.glob('state.db*'):
            path.unlink()
        server.stop()
        server.start()
        said = server.script(mac=MAC)
        assert said.status == 200
        assert 'waits: There is no desired state yet' in said.text
        assert server.get('/healthz').status == 503


@pytest.mark.parametrize(
    'name', ['srv\nreboot', '$' + '{reboot}', 'a || reboot', '#x', '\u202ex', 'x' * 70000, '; reboot']
)
def test_no_name_becomes_a_statement_of_a_script(server: BootServer, name: str) -> None:
    server.world.add_machine(name, mac=MAC, boot='local')
    server.world.sync()
    lines = server.script(mac=MAC).text.splitlines()
    assert lines[0] == '#!ipxe'
    assert lines[1].startswith('echo Substruct: ')
    assert re.fullmatch(r'[\w .,:/()+=@%-]*', lines[1])
    assert not {'||', '&&', ';'} & set(lines[1].split())
    assert lines[2].startswith('iseq ')


@pytest.mark.parametrize('url', ['http://h\nreboot', 'javascript:x', '', 'http://${x}', 'http://h/ || reboot'])
def test_no_base_url_becomes_a_statement_of_a_script(tmp_path: Path, url: str) -> None:
    with BootServer(tmp_path) as server:
        server.world.boot_server = msgspec.structs.replace(server.world.boot_server, base_url=url)
        server.world.add_script('local', '#!ipxe\nchain @@substruct:base-url@@/x\n')
        server.building('srv-1', mac=MAC)
        server.world.add_machine('srv-2', mac=OTHER, boot='local')
        server.world.sync()
        for mac in (MAC, OTHER):
            said = server.script(mac=mac)
            assert said.status == 200
            assert 'the base URL' in said.text.replace('_', '')
            assert said.text.splitlines()[-1].startswith('chain --replace --autofree /boot.ipxe?mac=')
            assert 'reboot' not in [line.split()[0] for line in said.text.splitlines()]


def test_one_event_tells_that_the_script_was_fetched(server: BootServer) -> None:
    srv = server.building('srv-1', mac=MAC)
    server.world.sync()
    for _ in range(3):
        server.script(mac=MAC)
    assert srv.build is not None
    assert [(one.kind, one.build) for one in server.messages()] == [('script-fetched', srv.build.id)]
    assert token_key(srv.build.token)[:16] in server.messages()[0].key


def test_a_machine_that_asks_was_seen(server: BootServer) -> None:
    srv = server.world.add_machine('srv-1', mac=MAC, boot='local')
    server.world.sync()
    for _ in range(3):
        server.script(mac=MAC)
    server.stop()
    assert [(one.type, one.machine) for one in server.all_messages()] == [('seen', srv.id)]
    server.start()


def test_grub_gets_its_configuration_by_mac_address(server: BootServer) -> None:
    server.building('srv-1', mac=MAC, artifacts={'grub': ('grub.cfg', 'linux @@substruct:base-url@@/files/x\n')})
    server.world.add_machine('srv-2', mac=OTHER, boot='local')
    server.world.sync()
    assert server.get('/grub/grub.cfg-02:00:00:00:00:01').text == 'linux http://10.60.0.1:8080/files/x\n'
    assert 'chainloader' in server.get(f'/grub.cfg?mac={OTHER}').text
    assert 'chainloader' in server.get('/grub.cfg?mac=02:00:00:00:00:77').text


def test_pxelinux_gets_a_build_s_configuration_and_else_goes_on_to_ipxe(server: BootServer) -> None:
    server.building('srv-1', mac=MAC, artifacts={'pxelinux': ('pxelinux.cfg', 'DEFAULT @@substruct:base-url@@/x\n')})
    server.world.add_machine('srv-2', mac=OTHER, boot='local')
    server.world.sync()
    assert server.get('/pxelinux.cfg/01-02-00-00-00-00-01').text == 'DEFAULT http://10.60.0.1:8080/x\n'
    assert server.get('/pxelinux.cfg/01-02-00-00-00-00-02').status == 404
    assert server.get('/pxelinux.cfg/default').status == 404


def test_a_build_by_grub_that_waits_for_a_secret_says_so_to_people(
    server: BootServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    met: list[Problem] = []
    monkeypatch.setattr(Problems, 'met', lambda _, problem: met.append(problem) or True)
    server.building('srv-1', mac=MAC, artifacts={'grub': ('grub.cfg', 'x @@substruct:secret:boot@@\n')})
    server.world.sync()
    assert 'waiting: There is no secret' in server.get('/grub/grub.cfg-02:00:00:00:00:01').text
    assert [problem.name for problem in met] == ['srv-1']
    (server.secrets / 'boot').write_text('open')
    assert server.get('/grub/grub.cfg-02:00:00:00:00:01').text == 'x open\n'
