"""Preflight on the boot server: each step of the chain, well and not well, against real files, HTTP and sockets."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.message
import dns.rdatatype
import dns.rrset
import msgspec
import pytest

from substruct_sidecar import status as board
from substruct_sidecar.cli import main
from substruct_sidecar.desired import Bmc, BootFile, Machine
from substruct_sidecar.netbox import Claimed
from substruct_sidecar.preflight import Preflight, Step, chain, look, network
from substruct_sidecar.preflight.steps import Wanted
from substruct_sidecar.settings import Dhcp
from substruct_sidecar.status import NetBoxStatus, ReportedProblem, ServiceStatus, Status
from substruct_sidecar.tasks import TaskError
from tests.sidecar.boot.serving import BootServer

MAC, ADDRESS = '02:00:00:00:00:01', '10.60.0.11/24'


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BootServer]:
    # Nobody answers at most of the addresses here.
    monkeypatch.setattr(chain, 'PATIENCE', 1.0)
    monkeypatch.setattr(network, 'PATIENCE', 0.4)
    boot = {'base_url': 'http://127.0.0.1:9', 'tftp_server': '10.60.0.1'}
    with BootServer(tmp_path, boot=boot) as made:
        made.world.add_subnet('10.60.0.0/24', name_servers=['127.0.0.1'])
        yield made


def machine(server: BootServer, **values: Any) -> Machine:
    return server.world.add_machine(
        'srv-1', mac=MAC, address=ADDRESS, **{'boot': 'local', 'firmware': 'uefi', **values}
    )


def looked(server: BootServer, about: Machine | int, *, settings: Any = None, **wanted: Any) -> dict[str, list[Step]]:
    key = about if isinstance(about, int) else about.id
    with server.world.view() as view:
        steps = look(settings or server.settings, view, key, Wanted(**wanted))
    found: dict[str, list[Step]] = {}
    for step in steps:
        found.setdefault(step.key, []).append(step)
    return found


def outcomes(steps: list[Step]) -> list[str]:
    return [step.outcome for step in steps]


def with_dhcp(server: BootServer, **of_service: Any) -> Any:
    """Settings with a DHCP server, whose service is as the status says."""
    service = ServiceStatus(name='dhcp', backend='isc', **{'state': 'ok', 'revision': 1000, **of_service})
    tell(server, services=[service])
    return msgspec.structs.replace(server.settings, dhcp=Dhcp(backend='isc'))


def tell(server: BootServer, **fields: Any) -> None:
    found = Status(written=0, started=0, version='0', instance='i', netbox=NetBoxStatus(), **fields)
    (server.run / board.NAME).write_bytes(msgspec.json.encode(found))


# ---------------------------------------------------------------------- known


def test_a_machine_that_the_boot_server_does_not_know_is_said_to_be_unknown_and_nothing_else(server):
    found = looked(server, 999)
    assert list(found) == ['known']
    assert outcomes(found['known']) == ['failure']


def test_every_step_of_the_chain_is_there_in_its_order(server):
    found = looked(server, machine(server), secrets=['none'])
    assert list(found) == ['known', 'dhcp', 'loader', 'script', 'secrets', 'dns', 'bmc']


def test_looking_changes_nothing(server):
    srv = server.building('srv-1', mac=MAC, address=ADDRESS, boot='build')
    looked(server, srv)
    assert server.all_messages() == []


# ---------------------------------------------------------------------- DHCP


def test_without_an_address_on_the_link_dhcp_is_as_planned(server):
    found = looked(server, machine(server), settings=with_dhcp(server))['dhcp']
    assert outcomes(found) == ['ok']
    assert 'UEFI is to be given 10.60.0.11 and snponly.efi from 10.60.0.1' in found[0].words
    assert 'the daemon itself was not asked' in found[0].words


def test_both_ways_are_planned_where_the_firmware_is_not_known(server):
    found = looked(server, machine(server, firmware=None), settings=with_dhcp(server))['dhcp']
    assert ['lpxelinux.0' in found[0].words, 'snponly.efi' in found[1].words] == [True, True]


def test_a_port_that_dhcp_does_not_know_is_a_failure(server):
    srv = server.world.add_machine('srv-1', mac=(), address=ADDRESS, boot='local')
    assert outcomes(looked(server, srv, settings=with_dhcp(server))['dhcp']) == ['failure']


def test_a_machine_that_others_claim_the_mac_address_of_is_served_without_it(server):
    machine(server)
    second = server.world.add_machine('srv-2', mac=MAC, address='10.60.0.12/24', boot='local')
    found = looked(server, second, settings=with_dhcp(server))
    assert 'failure' in outcomes(found['dhcp'])
    assert 'belongs to srv-1' in found['dhcp'][0].words
    assert (found['script'][0].outcome, found['script'][0].breaks) == ('failure', True)


def test_a_dhcp_service_that_is_down_is_a_failure_and_one_that_is_behind_a_warning(server):
    srv = machine(server)
    down = looked(server, srv, settings=with_dhcp(server, state='down', message='It ended.'))['dhcp'][0]
    assert (down.outcome, 'It ended.' in down.words) == ('failure', True)
    settings = with_dhcp(server, revision=1)
    tell(server, revision=2, services=[ServiceStatus(name='dhcp', backend='isc', state='ok', revision=1)])
    assert looked(server, srv, settings=settings)['dhcp'][0].outcome == 'warning'


def test_without_a_dhcp_server_of_its_own_it_says_so(server):
    assert outcomes(looked(server, machine(server))['dhcp']) == ['unknown']


# ---------------------------------------------------------------------- loader


def test_a_loader_that_is_not_there_breaks_every_build(server):
    settings = msgspec.structs.replace(server.settings, dhcp=Dhcp(loaders={'uefi-x64': 'nowhere.efi'}))
    found = looked(server, machine(server), settings=settings)['loader'][0]
    assert (found.outcome, found.breaks, 'nowhere.efi' in found.words) == ('failure', True, True)


def test_a_loader_is_fetched_by_tftp(server):
    (server.loaders / 'own.efi').write_bytes(b'MZ')
    with Answering(b'\0\3\0\1MZ') as tftp:
        settings = msgspec.structs.replace(
            server.settings, dhcp=Dhcp(loaders={'uefi-x64': 'own.efi'}),
            boot=msgspec.structs.replace(server.settings.boot, tftp=[f'127.0.0.1:{tftp.port}']),
        )  # fmt: skip
        found = looked(server, machine(server), settings=settings)['loader'][0]
        assert (found.outcome, found.words) == ('ok', 'own.efi is here, and TFTP serves it.')
        assert tftp.heard[0] == b'\0\1own.efi\0octet\0'
    with Answering(b'\0\5\0\1no such file\0') as tftp:
        settings.boot.tftp[0] = f'127.0.0.1:{tftp.port}'
        refused = looked(server, machine(server), settings=settings)['loader'][0]
        assert (refused.outcome, 'no such file' in refused.words) == ('failure', True)


def test_it_is_looked_whether_this_server_answers_where_machines_are_sent(server):
    srv = machine(server)
    assert looked(server, srv)['loader'][-1].outcome == 'warning', 'nobody is at port 9'
    boot = msgspec.structs.replace(server.settings.boot, base_url=f'http://127.0.0.1:{server.ports["boot"]}')
    settings = msgspec.structs.replace(server.settings, boot=boot)
    assert looked(server, srv, settings=settings)['loader'][-1].outcome == 'ok'


# ---------------------------------------------------------------------- script


def test_the_script_is_what_the_boot_loader_would_be_told(server):
    assert 'Its own disk' in looked(server, machine(server))['script'][0].words
    srv = server.building('srv-2', mac='02:00:00:00:00:02', address='10.60.0.12/24')
    assert looked(server, srv)['script'][0].words.startswith('Its build')


def test_a_build_whose_files_are_not_here_waits(server):
    srv = server.building('srv-2', mac='02:00:00:00:00:02', address='10.60.0.12/24')
    for name in server.files.names():
        server.files.remove(name)
    found = looked(server, srv)
    assert found['script'][0].outcome == 'warning'
    assert outcomes(found['files']) == ['warning']


# ---------------------------------------------------------------------- files and secrets


def image(server: BootServer, sha256: str | None, url: str = 'http://mirror.example/vmlinuz') -> int:
    return server.world.add_boot_image(
        'debian', [BootFile(role='kernel', url=url, sha256=sha256, path=f'files/{sha256}')]
    ).id


def test_a_file_that_is_here_and_right_is_well(server):
    found = looked(server, machine(server), boot_image=image(server, server.file(b'a kernel')))['files']
    assert [(step.outcome, step.words) for step in found] == [
        ('ok', 'The kernel of debian is here, and its SHA-256 is right.')
    ]


def test_a_file_that_was_damaged_on_the_disk_breaks_a_build(server):
    name = server.file(b'a kernel')
    (server.files.folder / name).write_bytes(b'A kernel')
    found = looked(server, machine(server), boot_image=image(server, name))['files'][0]
    assert (found.outcome, found.breaks) == ('failure', True)


def test_a_source_with_another_checksum_breaks_a_build_and_a_source_that_is_away_does_not(server):
    key = image(server, 'a' * 64)
    for message, breaks in (
        ('http://mirror.example/vmlinuz: has SHA-256 bb, but NetBox says aa.', True),
        ('http://mirror.example/vmlinuz: timed out', False),
    ):
        told = ReportedProblem(service='files', what='boot-image', id=key, name='debian', message=message)
        tell(server, problems=[told])
        found = looked(server, machine(server), boot_image=key)['files'][0]
        assert (found.outcome, found.breaks) == ('failure', breaks)


def test_the_prospector_that_a_build_needs_must_be_here(server):
    srv = machine(server)
    missing = looked(server, srv, prospector=['x86_64'])['files'][0]
    assert (missing.outcome, missing.breaks, 'prospector build' in missing.remedy) == ('failure', True, True)
    server.local_prospector()
    assert looked(server, srv, prospector=['x86_64'])['files'][0].outcome == 'ok'


def test_secrets_must_be_here_and_their_values_are_never_told(server):
    srv = machine(server)
    (server.secrets / 'root').write_text('correct horse')
    assert outcomes(looked(server, srv, secrets=['root'])['secrets']) == ['ok']
    found = looked(server, srv, secrets=['root', 'other'])['secrets']
    assert [(step.outcome, step.breaks) for step in found] == [('failure', True)]
    answer = Preflight(server.settings)(_task(srv.id, secrets=['root']), lambda: None)
    assert 'correct horse' not in json.dumps(answer)


# ---------------------------------------------------------------------- DNS and BMC


def test_name_servers_are_asked_for_the_name_and_back(server, monkeypatch):
    srv = machine(server, fqdn='srv-1.example.com')
    known = {('srv-1.example.com.', 'A'): '10.60.0.11', ('11.0.60.10.in-addr.arpa.', 'PTR'): 'srv-1.example.com.'}

    def udp(query: dns.message.Message, where: str, timeout: float) -> dns.message.Message:
        question = query.question[0]
        answer = dns.message.make_response(query)
        if value := known.get((question.name.to_text(), dns.rdatatype.to_text(question.rdtype))):
            answer.answer.append(dns.rrset.from_text(question.name, 60, 'IN', question.rdtype, value))
        return answer

    monkeypatch.setattr('dns.query.udp', udp)
    assert outcomes(looked(server, srv)['dns']) == ['ok']
    known.pop(('11.0.60.10.in-addr.arpa.', 'PTR'))
    assert 'reverse zone' in looked(server, srv)['dns'][0].remedy
    known.clear()
    found = looked(server, srv)['dns'][0]
    assert (found.outcome, found.words) == (
        'warning', 'The name server 127.0.0.1 has nothing for srv-1.example.com, and not 10.60.0.11.',
    )  # fmt: skip


def test_a_bmc_is_reached_or_not(server):
    (server.secrets / 'ops').write_text('root:secret')
    assert outcomes(looked(server, machine(server))['bmc']) == ['unknown']
    with socket.create_server(('127.0.0.1', 0)) as listening:
        port = listening.getsockname()[1]
        redfish = Bmc(protocol='redfish', address='127.0.0.1', port=port, credential='ops')
        assert outcomes(looked(server, machine(server, bmc=redfish))['bmc']) == ['ok']
    assert outcomes(looked(server, machine(server, bmc=redfish))['bmc']) == ['warning']


def test_an_ipmi_bmc_is_asked_what_it_answers_without_an_account(server):
    with Answering(b'\6\0\xff\7' + bytes(20)) as bmc:
        ipmi = Bmc(protocol='ipmi', address='127.0.0.1', port=bmc.port, credential='nowhere')
        found = looked(server, machine(server, bmc=ipmi))['bmc']
        assert outcomes(found) == ['ok', 'warning']
        assert 'There is no secret "nowhere"' in found[1].words
        assert bmc.heard[0][:4] == b'\6\0\xff\7'


class Answering:
    """A UDP server that answers everything alike."""

    def __init__(self, answer: bytes) -> None:
        self.heard: list[bytes] = []
        self._answer = answer
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(('127.0.0.1', 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        while True:
            data, peer = self._socket.recvfrom(2048)
            if data == b'end':
                return
            self.heard.append(data)
            if not data.startswith(b'\0\5'):
                self._socket.sendto(self._answer, peer)

    def __enter__(self) -> 'Answering':
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.sendto(b'end', ('127.0.0.1', self.port))
        self._thread.join()
        self._socket.close()


# ---------------------------------------------------------------------- as a task, and by hand


def _task(key: int | None, **parameters: Any) -> Claimed:
    return Claimed(id=1, kind='preflight', attempt=1, machine=key, parameters=parameters)


def test_the_task_is_answered_with_the_steps(server):
    srv = machine(server)
    server.world.sync()
    answer = Preflight(server.settings)(_task(srv.id), lambda: None)
    assert answer['format_version'] == 1
    assert answer['steps'][0] == {
        'key': 'known', 'outcome': 'ok', 'words': 'This boot server knows it as srv-1.', 'remedy': '', 'breaks': False,
    }  # fmt: skip


@pytest.mark.parametrize('task', [_task(None), _task(1, secrets='root')])
def test_a_task_that_is_none_is_refused_with_the_reason(server, task):
    with pytest.raises(TaskError):
        Preflight(server.settings)(task, lambda: None)


def test_the_command_shows_the_steps_and_fails_where_one_fails(server, capsys, tmp_path):
    machine(server, fqdn='srv-1.example.com')
    server.world.sync()
    assert main(['--config', str(tmp_path / 'sidecar.toml'), 'preflight', MAC]) == 0
    assert 'ok      known: This boot server knows it as srv-1.example.com.' in capsys.readouterr().out
    server.world.add_machine('srv-2', mac=MAC, address='10.60.0.12/24', boot='local')
    server.world.sync()
    assert main(['--config', str(tmp_path / 'sidecar.toml'), 'preflight', 'srv-2', '--json']) == 1
    assert json.loads(capsys.readouterr().out)['steps'][0]['key'] == 'known'
    assert main(['--config', str(tmp_path / 'sidecar.toml'), 'preflight', 'nobody']) == 1
