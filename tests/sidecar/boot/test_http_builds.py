"""Artifacts under a build's token, and what machines report: on disk before it is answered, once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from substruct_sidecar.claims import token_key
from substruct_sidecar.desired import Machine
from tests.sidecar.boot.serving import BootServer, at

MAC = '02:00:00:00:00:01'
PRESEED = (
    'd-i netcfg/get_hostname string srv-1\nd-i x/url string @@substruct:base-url@@/build/@@substruct:token@@/done\n'
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[BootServer]:
    with BootServer(tmp_path) as made:
        yield made


@pytest.fixture
def srv(server: BootServer) -> Machine:
    made = server.building(
        'srv-1', mac=MAC, artifacts={
            'preseed': ('preseed.cfg', PRESEED),
            'user-data': ('user-data', '#cloud-config\npassword: @@substruct:secret:web/root:yaml@@\n'),
            'meta-data': ('meta-data', 'instance-id: 1\n'),
        },
    )  # fmt: skip
    server.world.sync()
    return made


# ---------------------------------------------------------------------- artifacts


def test_an_artifact_is_served_with_its_markers_filled(server: BootServer, srv: Machine) -> None:
    assert srv.build is not None
    said = server.get(at(srv, 'preseed.cfg'))
    assert said.status == 200
    assert said.text == (
        f'd-i netcfg/get_hostname string srv-1\nd-i x/url string http://10.60.0.1:8080/build/{srv.build.token}/done\n'
    )
    assert server.get(at(srv, 'meta-data')).headers['content-type'] == 'text/yaml; charset=utf-8'
    assert server.ask('HEAD', at(srv, 'preseed.cfg')).status == 200


def test_a_secret_is_filled_in_quoted_and_a_missing_one_gives_no_half_file(server: BootServer, srv: Machine) -> None:
    said = server.get(at(srv, 'user-data'))
    assert said.status == 503
    assert 'cloud-config' not in said.text
    (event,) = [one for one in server.messages() if one.kind == 'note']
    assert 'There is no secret "web/root"' in event.message
    (server.secrets / 'web').mkdir()
    (server.secrets / 'web' / 'root').write_text('it\'s "secret" 🔑\n')
    said = server.get(at(srv, 'user-data'))
    assert said.status == 200
    assert said.text == '#cloud-config\npassword: "it\'s \\"secret\\" 🔑"\n'


@pytest.mark.parametrize(
    'path',
    [
        '/build/wrong/preseed.cfg', '/build/' + 't' * 30 + '-2/preseed.cfg', '/build//preseed.cfg',
        '/build/%00/preseed.cfg', '/build/%f0%9f%92%a9/preseed.cfg', '/build/' + 'x' * 5000 + '/preseed.cfg',
        '/build/wrong/done', '/build/wrong/',
    ],
)  # fmt: skip
def test_any_other_token_finds_nothing(server: BootServer, srv: Machine, path: str) -> None:
    assert server.get(path).status == 404
    assert server.post(path).status in (404, 405)
    assert server.messages() == []


def test_a_token_opens_its_own_build_only(server: BootServer, srv: Machine) -> None:
    other = server.building('srv-2', mac='02:00:00:00:00:02', artifacts={'preseed': ('preseed.cfg', 'other')})
    server.world.sync()
    assert server.get(at(other, 'preseed.cfg')).text == 'other'
    assert server.get(at(other, 'user-data')).status == 404
    for name in ('..', '../srv-1', '%2e%2e%2fstate.db', 'preseed.cfg%00', 'PRESEED.CFG', 'state.db', '.'):
        assert server.get(at(srv, name)).status in (404, 405), name


def test_when_its_build_has_ended_a_token_opens_nothing_more(server: BootServer, srv: Machine) -> None:
    assert server.get(at(srv, 'preseed.cfg')).status == 200
    assert server.post(at(srv, 'done')).status == 200
    assert server.get(at(srv, 'preseed.cfg')).status == 404
    assert server.script(mac=MAC).text.count('token=') == 0


@pytest.mark.parametrize('how', ['cancelled', 'replaced'])
def test_a_build_that_netbox_has_taken_away_opens_nothing_and_its_machine_is_told_to_stop(
    server: BootServer, srv: Machine, how: str
) -> None:
    """With 200, so that no installer stops half-way over it; whoever writes a disk looks at the header."""
    assert 'x-substruct-build' not in server.post(at(srv, 'progress'), '10% writing').headers
    if how == 'cancelled':
        server.world.change(srv, build=None)
        server.world.boots(srv, 'local')
    else:
        server.world.change(srv, build=server.world.build(srv, token='another-token-of-srv-1', artifacts=[]))
    server.world.sync()
    assert server.get(at(srv, 'preseed.cfg')).status == 404
    for callback in ('progress', 'log', 'finishing', 'done', 'failed'):
        said = server.post(at(srv, callback), '11% writing')
        assert (said.status, said.headers['x-substruct-build']) == (200, 'ended')
    assert server.kinds() == ['progress']
    assert 'token=t' not in server.script(mac=MAC).text


def test_a_token_is_not_forgotten_because_the_machine_is_another_boot_servers(server: BootServer, srv: Machine) -> None:
    server.world.remove(srv)
    server.world.sync()
    assert server.post(at(srv, 'progress'), '10% writing').status == 404, 'it may go on there'


def test_an_artifact_that_is_not_here_yet_is_asked_for_again(server: BootServer, srv: Machine) -> None:
    for path in server.artifacts.folder.iterdir():
        path.unlink()
    said = server.get(at(srv, 'preseed.cfg'))
    assert (said.status, said.headers['retry-after']) == (503, '5')


def test_the_steps_of_a_build_are_each_told_once(server: BootServer, srv: Machine) -> None:
    (kernel,) = server.files.names()
    for _ in range(2):
        server.script(mac=MAC)
        server.get(f'/files/{kernel}')
        server.get(at(srv, 'meta-data'))
        server.get(at(srv, 'preseed.cfg'))
        server.post(at(srv, 'progress'), '40% packages')
        server.post(at(srv, 'done'))
    assert server.kinds() == ['script-fetched', 'kernel-fetched', 'config-fetched', 'progress', 'finished']
    server.stop()
    server.start()
    server.script(mac=MAC)
    assert len(server.messages()) == 5


def test_a_boot_file_fetched_by_somebody_else_is_no_step(server: BootServer, srv: Machine) -> None:
    (kernel,) = server.files.names()
    assert server.get(f'/files/{kernel}').status == 200
    assert server.messages() == []


def test_what_a_machine_fetches_for_something_else_is_no_step_of_its_stalled_build(
    server: BootServer, srv: Machine
) -> None:
    """NetBox would take it for a sign of life, and the build would go on: it erases the disk that is to be rescued."""
    server.local_prospector()
    server.script(mac=MAC)
    server.world.add_script('rescue', '#!ipxe\nkernel @@substruct:base-url@@/prospector/x86_64/vmlinuz\n', 'x86_64')
    server.world.boots(srv, 'rescue')
    server.world.sync()
    assert 'vmlinuz' in server.script(mac=MAC).text
    assert server.get('/prospector/x86_64/vmlinuz').status == 200
    assert [message.kind or message.type for message in server.messages()] == ['script-fetched', 'served-once']


def test_a_machine_is_known_by_its_address_in_netbox_too(server: BootServer) -> None:
    server.building('srv-9', mac='02:00:00:00:00:09', address='127.0.0.1/8')
    server.world.sync()
    (kernel,) = server.files.names()
    server.get(f'/files/{kernel}')
    assert server.kinds() == ['kernel-fetched']


def test_a_boot_loader_is_a_step_of_whoever_has_that_address_in_netbox(server: BootServer) -> None:
    (server.loaders / 'snponly.efi').write_bytes(b'a loader')
    assert server.get('/loaders/snponly.efi').status == 200
    assert server.messages() == []
    server.building('srv-9', mac='02:00:00:00:00:09', address='127.0.0.1/8')
    server.world.sync()
    assert server.ask('HEAD', '/loaders/snponly.efi').status == 200
    for _ in range(2):
        assert server.get('/loaders/snponly.efi').status == 200
    (message,) = server.messages()
    assert (message.kind, message.message) == ('loader-fetched', 'snponly.efi fetched from 127.0.0.1 by HTTP')


# ---------------------------------------------------------------------- the disk is written


def test_once_its_disk_is_written_a_machine_boots_that_and_its_build_goes_on(server: BootServer, srv: Machine) -> None:
    assert 'token=' in server.script(mac=MAC).text
    assert server.post(at(srv, 'finishing')).text == 'ok\n'
    for _ in range(2):
        said = server.script(mac=MAC).text
        assert 'token=' not in said and 'sanboot' in said
        server.stop()
        server.start()
    assert server.get(at(srv, 'preseed.cfg')).status == 200, 'what is read at the first boot is there'
    assert 'x-substruct-build' not in server.post(at(srv, 'progress'), '97% first boot').headers
    assert server.post(at(srv, 'done')).status == 200
    assert server.post(at(srv, 'finishing')).headers['x-substruct-build'] == 'ended'
    assert [one.kind for one in server.messages() if one.kind != 'config-fetched'] == [
        'script-fetched', 'finishing', 'progress', 'finished'
    ]  # fmt: skip


def test_a_build_whose_disk_is_written_may_still_fail(server: BootServer, srv: Machine) -> None:
    server.post(at(srv, 'finishing'), 'written')
    server.post(at(srv, 'failed'), 'a command failed')
    server.post(at(srv, 'done'))
    assert server.kinds() == ['finishing', 'failed']
    assert srv.build is not None
    assert server.outbox.outcome(token_key(srv.build.token)) == 'failed'


def test_a_disk_that_is_written_after_the_end_changes_nothing(server: BootServer, srv: Machine) -> None:
    server.post(at(srv, 'failed'), 'no')
    server.post(at(srv, 'finishing'))
    assert server.kinds() == ['failed']


# ---------------------------------------------------------------------- a build of which nothing was heard


def test_a_stalled_build_is_still_heard_and_its_machine_boots_its_disk(server: BootServer, srv: Machine) -> None:
    assert srv.build is not None
    stalled = server.world.build(srv, state='stalled', token=srv.build.token, artifacts=srv.build.artifacts)
    server.world.change(srv, build=stalled)
    server.world.boots(srv, 'local')
    server.world.sync()
    assert 'token=' not in server.script(mac=MAC).text
    assert server.get(at(srv, 'preseed.cfg')).status == 200
    said = server.post(at(srv, 'progress'), '50% packages')
    assert (said.status, 'x-substruct-build' in said.headers) == (200, False)
    assert server.kinds() == ['config-fetched', 'progress']
