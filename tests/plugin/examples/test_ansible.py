"""The manual's playbook and inventories, run by Ansible itself against a real NetBox."""

import importlib.metadata
import json
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from netbox_substruct.lifecycle import builds, events, machines
from netbox_substruct.models import Build, Machine
from tests.formats import FOLDER

from ..lifecycle.world import a_device, a_machine, a_profile, a_user
from .conftest import EXAMPLES

ANSIBLE = EXAMPLES / 'ansible'


@pytest.fixture
def ansible(environment, tmp_path):
    """Starts a program of Ansible, which keeps its own things in this test's folder; gives its process."""

    @contextmanager
    def started(program, *arguments, **more):
        process = subprocess.Popen(
            [Path(sys.executable).with_name(program), *arguments],
            env={
                **environment, 'ANSIBLE_HOME': str(tmp_path), 'ANSIBLE_NOCOLOR': '1', 'LC_ALL': 'C.UTF-8',
                'ANSIBLE_LOCALHOST_WARNING': 'false', 'ANSIBLE_DEPRECATION_WARNINGS': 'false', **more,
            },
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    return started


@pytest.fixture
def two(committed):
    """srv-1 and srv-2, of which the second is in use."""
    first = a_machine('srv-1')
    return [first, machines.register(a_device('srv-2', status='active'), profile=first.profile)]


def some(number):
    """So many builds, when they stand."""
    until = time.monotonic() + 120
    while Build.objects.count() < number:
        assert time.monotonic() < until, 'they were not requested'
        time.sleep(0.1)
    return list(Build.objects.order_by('machine__device__name'))


PLAYBOOK = ('ansible-playbook', ANSIBLE / 'build.yml', '-e', 'wait_seconds=0.5')


def test_a_playbook_builds_and_waits_until_all_are_complete(ansible, two):
    a_profile('Other')
    chosen = json.dumps({'override': ['srv-2'], 'profile': 'other'})
    with ansible(*PLAYBOOK, '-i', 'srv-1,srv-2,', '-e', chosen) as process:
        first, second = some(2)
        assert first.profile.slug == 'other'
        builds.record(first, 'finished')
        builds.record(second, 'failed', message='No disk was found.')
        said = process.communicate(timeout=120)[0]
    assert process.returncode == 2, said
    assert f'srv-1 #{first.pk} is complete' in said
    assert f'srv-2 #{second.pk} is failed. No disk was found.' in said


def test_a_refused_build_fails_the_host_with_netboxs_reason(ansible, two):
    with ansible(*PLAYBOOK, '-i', 'srv-2,nobody,') as process:
        said = process.communicate(timeout=120)[0]
    assert process.returncode == 2 and 'has the status active' in said, said
    assert not Build.objects.exists()


def test_the_inventory_groups_machines_by_what_became_of_them(ansible, two):
    from dcim.models import Interface
    from ipam.models import IPAddress

    builds.record(builds.request(two[0]), 'finished')
    device = two[0].device
    port = Interface.objects.create(device=device, name='eth0', type='1000base-t')
    device.primary_ip4 = IPAddress.objects.create(address='10.1.0.11/24', assigned_object=port)
    device.save()
    Machine.objects.create(discovered_name='found', boot_mac='00:00:5E:00:53:01')
    with ansible('ansible-inventory', '-i', ANSIBLE / 'inventory.py', '--list') as process:
        said = json.loads(process.communicate(timeout=120)[0])
    assert said['provisioning_built']['hosts'] == ['srv-1']
    assert said['provisioning_registered']['hosts'] == ['srv-2']
    assert said['site_ber']['hosts'] == said['profile_debian']['hosts'] == ['srv-1', 'srv-2']
    assert said['_meta']['hostvars']['srv-1'] == {
        'ansible_host': '10.1.0.11', 'netbox_status': 'planned', 'profile': 'debian', 'provisioning_state': 'built',
        'site': 'ber',
    }  # fmt: skip


@pytest.fixture(scope='module')
def collection():
    """A folder with the collection netbox.netbox, out of the package of all collections on PyPI; fetched once."""
    target = FOLDER / 'ansible-collections'
    if not target.is_dir():
        FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
            fetched = subprocess.run(
                [sys.executable, '-m', 'pip', 'download', '-q', '--no-deps', '--dest', folder, 'ansible'],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if fetched.returncode:
                pytest.skip(f'PyPI has not given ansible: {fetched.stderr.strip()[-200:]}')
            (wheel,) = Path(folder).glob('*.whl')
            with zipfile.ZipFile(wheel) as archive:
                wanted = [name for name in archive.namelist() if name.startswith('ansible_collections/netbox/netbox/')]
                archive.extractall(Path(folder, 'unpacked'), wanted)
            try:
                Path(folder, 'unpacked').rename(target)
            except OSError:
                assert target.is_dir(), 'another process was first'
    return target


def test_the_collection_for_netbox_lists_what_substruct_has_built(ansible, two, environment, collection, tmp_path):
    from dcim.filtersets import DeviceFilterSet
    from virtualization.filtersets import VirtualMachineFilterSet

    builds.record(builds.request(two[0]), 'finished')
    # What the collection keeps of NetBox's OpenAPI schema: all of it takes NetBox half a minute.
    lists = {'dcim/devices': DeviceFilterSet, 'virtualization/virtual-machines': VirtualMachineFilterSet}
    schema = {
        'info': {'version': importlib.metadata.version('netbox')},
        'paths': {
            f'/api/{path}/': {'get': {'parameters': [{'name': name} for name in filters.base_filters]}}
            for path, filters in lists.items()
        },
    }
    (tmp_path / 'netbox_api_dump.json').write_text(json.dumps(schema))
    more = {'NETBOX_API': environment['NETBOX_URL'], 'ANSIBLE_COLLECTIONS_PATH': str(collection)}
    with ansible('ansible-inventory', '-i', ANSIBLE / 'netbox.yml', '--list', '--export', **more) as process:
        said = process.communicate(timeout=120)[0]
    assert json.loads(said[said.index('{') :])['device_roles_server']['hosts'] == ['srv-1'], said
    assert 'substruct_state not in' not in said


class Launches(BaseHTTPRequestHandler):
    """AWX, as far as a webhook knows it."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        self.server.launched.append((self.path, self.headers['Authorization'], body))
        self.send_response(201)
        self.end_headers()

    def log_message(self, *values):
        pass


def test_a_built_machine_launches_a_job_template(run, environment, queues):
    from ..automation.world import work

    machine = a_machine('say "srv"')
    environment['AWX_TOKEN'] = 'of-awx'
    awx = ThreadingHTTPServer(('127.0.0.1', 0), Launches)
    awx.launched = []
    thread = threading.Thread(target=awx.serve_forever)
    thread.start()
    try:
        url = f'http://127.0.0.1:{awx.server_port}/api/v2/job_templates/7/launch/'
        done = run('awx_webhook.py', url, '--profile', 'debian')
        assert done.returncode == 0, done.stdout + done.stderr
        build = builds.request(machine, user=a_user())
        with events.tracked(build.requested_by):
            builds.record(build, 'finished')
        work()
    finally:
        awx.shutdown()
        thread.join()
        awx.server_close()
    ((path, authorization, body),) = awx.launched
    assert path.endswith('/job_templates/7/launch/') and authorization == 'Bearer of-awx'
    assert body == {
        'limit': 'say "srv"',
        'extra_vars': {'substruct_build': build.pk, 'substruct_profile': 'debian'},
    }
