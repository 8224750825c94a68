"""The examples of the manual do what it says, against a real NetBox over HTTP."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from users.models import Token, User

from .lifecycle.world import a_device, a_machine, a_profile

EXAMPLES = Path(__file__).parents[2] / 'docs' / 'examples'


@pytest.fixture
def run(served):
    token = Token(user=User.objects.create_superuser('script'))
    token.save()
    environment = os.environ | {'NETBOX_URL': served, 'NETBOX_TOKEN': f'nbt_{token.key}.{token.token}', 'NO_PROXY': '*'}

    def example(name, *arguments):
        return subprocess.run(
            [sys.executable, EXAMPLES / name, *arguments],
            env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    return example


def test_builds_lists_requests_reads_and_cancels(run, tmp_path):
    from netbox_substruct.lifecycle import machines
    from netbox_substruct.models import Build

    machine = a_machine('srv-1')
    machines.register(a_device('srv-2', status='active'), profile=machine.profile)
    a_profile('Other')

    listed = run('builds.py', 'list', '--state', 'registered')
    assert listed.returncode == 0, listed.stderr
    assert [line.split()[:3] for line in listed.stdout.splitlines()] == [
        ['srv-1', 'registered', 'Debian'], ['srv-2', 'registered', 'Debian'],
    ]  # fmt: skip

    requested = run('builds.py', 'build', 'srv-1', '--profile', 'other')
    assert requested.returncode == 0, requested.stderr
    build = Build.objects.get()
    assert requested.stdout == f'Build #{build.pk} of srv-1 is pending\n' and build.profile.slug == 'other'

    refused = run('builds.py', 'build', 'srv-1')
    assert refused.returncode == 1 and f'build #{build.pk} pending or under way' in refused.stderr
    refused = run('builds.py', 'build', 'srv-2')
    assert refused.returncode == 1 and 'has the status active' in refused.stderr
    assert run('builds.py', 'build', 'srv-2', '--override', 'srv-2').returncode == 0

    read = run('builds.py', 'artifacts', 'srv-1', '--save', str(tmp_path))
    assert read.returncode == 0, read.stderr
    for artifact in build.artifacts.all():
        content = (tmp_path / artifact.name).read_bytes()
        assert content == artifact.content.encode() and hashlib.sha256(content).hexdigest() == artifact.sha256
        assert artifact.sha256 in read.stdout

    cancelled = run('builds.py', 'cancel', 'srv-1', '--reason', 'enough')
    assert cancelled.returncode == 0, cancelled.stderr
    build.refresh_from_db()
    assert build.state == 'cancelled' and build.events.last().message.endswith('enough')


def test_discovery_lists_shows_adopts_and_compares(run):
    from netbox_substruct.models import FactSet, Machine

    from .discovery.world import NICS, a_device, a_world, discovered, server

    world = a_world()
    machine = discovered()
    a_device(world, 'planned-7', serial='OTHER', macs=(NICS[1],))

    listed = run('discovery.py', 'list')
    assert listed.returncode == 0, listed.stderr
    assert listed.stdout.split() == ['PowerEdge', 'R650', 'CK1RM22', 'CK1RM22']
    shown = run('discovery.py', 'show', machine.name)
    assert 'It may be planned-7:' in shown.stdout and '- NetBox has the serial number OTHER' in shown.stdout

    asked = ('discovery.py', 'adopt', machine.name, '--name', 'srv-7')
    proposed = run(*asked)
    assert proposed.returncode == 0 and 'role: Choose a role.' in proposed.stderr
    proposed = run(*asked, '--role', 'server')
    assert 'cable:eno1 ' in proposed.stdout and Machine.objects.get().state == 'discovered'
    adopted = run(*asked, '--role', 'server', '--leave', 'cable:eno1', '--yes')
    assert adopted.returncode == 0, adopted.stderr
    assert 'is srv-7' in adopted.stdout and Machine.objects.get().device.name == 'srv-7'
    refused = run(*asked, '--role', 'server', '--yes')
    assert 'is adopted already' in refused.stderr

    FactSet.objects.update(data=server(system__serial='NEW1', chassis__serial='NEW1'))
    compared = run('discovery.py', 'difference', 'srv-7')
    assert {line.split()[0] for line in compared.stdout.splitlines()} >= {'device:serial', 'cable:eno1'}
    written = run('discovery.py', 'difference', 'srv-7', '--accept', 'device:serial')
    assert written.stdout == '0 made, 1 changed, 0 removed\n', written.stderr
    assert Machine.objects.get().device.serial == 'NEW1'
    refused = run('discovery.py', 'difference', 'srv-7', '--accept', 'device:serial')
    assert refused.returncode == 1 and 'There are no lines device:serial' in refused.stderr
