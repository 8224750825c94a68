"""The pynetbox recipes of the manual do what they say, against a real NetBox over HTTP."""

import ast
import hashlib
from datetime import timedelta
from pathlib import Path
from unittest import mock

import pytest

from netbox_substruct.lifecycle import builds, machines
from netbox_substruct.models import Build, DiscoveryRule, Machine, Wave

from ..lifecycle.world import a_device, a_machine, a_profile
from .conftest import EXAMPLES

DOCS = EXAMPLES.parent


def said(done):
    """The lines that a recipe printed, and that it ended well."""
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def refused(done):
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr


def failed(name, error='No disk was found.', log=''):
    """A build of this machine that failed."""
    build = builds.request(Machine.objects.get(device__name=name))
    builds.record(build, 'failed', message=error, log=log)
    build.refresh_from_db()
    return build


@pytest.fixture
def two(committed):
    """srv-1 and srv-2, of which the second is in use."""
    first = a_machine('srv-1')
    return [first, machines.register(a_device('srv-2', status='active'), profile=first.profile)]


def test_every_recipe_is_in_the_manual_and_runs_here():
    """Nobody copies a recipe that is not tried."""
    text = ''.join(path.read_text() for path in DOCS.glob('*.md'))
    tests = ast.parse('\n'.join(path.read_text() for path in Path(__file__).parent.glob('test_*.py')))
    tried = {node.value for node in ast.walk(tests) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    recipes = {path.name for path in EXAMPLES.glob('*.py') if 'from substruct import' in path.read_text()}
    assert len(recipes) > 12
    for name in recipes:
        assert name in tried, name
        assert f'docs/examples/{name}' in text, name


def test_machines_are_listed_by_state(run, two):
    machines.move(two[1], 'retired')
    assert [line.split() for line in said(run('machines.py', '--state', 'registered', '--site', 'ber'))] == [
        ['srv-1', 'registered', 'Debian'],
    ]  # fmt: skip


def test_a_rack_is_registered_with_a_profile(run, committed):
    from dcim.models import DeviceRole, Rack

    profile = a_profile()
    known = a_device('srv-1')
    rack = Rack.objects.create(name='17', site=known.site)
    known.rack = rack
    known.save()
    machines.register(known)
    a_device('srv-2', rack=rack)
    switch = a_device('leaf', rack=rack)
    switch.role = DeviceRole.objects.create(name='Leaf', slug='leaf')
    switch.save()
    a_device('elsewhere')
    asked = ('register_rack.py', 'ber', '17', '--profile', 'debian')
    assert said(run(*asked)) == ['srv-2 is a machine now', 'srv-1 had no profile']
    assert {(machine.name, machine.profile) for machine in Machine.objects.all()} == {
        ('srv-1', profile), ('srv-2', profile),
    }  # fmt: skip
    assert said(run(*asked)) == []
    assert 'There are 0 racks' in refused(run('register_rack.py', 'ber', '18', '--profile', 'debian'))


def test_many_are_built_and_the_end_of_each_is_told(running, run, two):
    assert 'has the status active' in refused(run('build_many.py', 'srv-1', 'srv-2'))
    assert not Build.objects.exists()
    a_profile('Other')
    asked = ('srv-1', 'srv-2', '--override', 'srv-2', '--profile', 'other', '--every', '0.2')
    with running('build_many.py', *asked) as process:
        assert [process.stdout.readline().split()[-1] for _ in range(2)] == ['pending', 'pending']
        first, second = Build.objects.order_by('pk')
        assert first.profile.slug == 'other'
        builds.record(second, 'finished')
        assert process.stdout.readline() == f'srv-2 #{second.pk} is complete\n'
        builds.record(first, 'failed', message='No disk.')
        assert process.stdout.readline() == f'srv-1 #{first.pk} is failed: No disk.\n'
        assert process.wait(60) == 1


def test_failures_are_gathered_by_reason(run, two):
    failed('srv-1', 'The mirror is away.')
    failed('srv-1', 'No disk.')
    machines.register(a_device('srv-3'), profile=two[0].profile)
    old = failed('srv-3', 'Long ago.')
    Build.objects.filter(pk=old.pk).update(created=old.created - timedelta(days=9))
    failed('srv-3', 'No disk.', log='\n'.join(f'line {number}' for number in range(20)))
    lines = said(run('failures.py', '--log', '--site', 'ber'))
    assert [line.split(maxsplit=1) for line in (lines[0], lines[1].strip(), lines[-2])] == [
        ['2', 'No disk.'], ['srv-1,', 'srv-3'], ['1', 'The mirror is away.'],
    ]  # fmt: skip
    assert lines[2].strip() == '| line 10' and lines[11].strip() == '| line 19'
    assert said(run('failures.py', '--days', '0')) == ['Nothing failed.']


def test_what_a_rule_suggests_is_adopted_after_a_look(run, committed):
    from ..discovery.world import a_world, another, server

    world = a_world()
    another(1)
    another(2)
    another(3, system__manufacturer='Other')
    DiscoveryRule.objects.create(
        name='Dell servers', condition={'system.manufacturer': 'Dell*'}, role=world.role, site=world.site,
        host_name_template='srv-{{ serial | lower }}',
    )  # fmt: skip
    looked = said(run('adopt_by_rule.py', 'Dell servers'))
    assert sum('becomes srv-ser000' in line for line in looked) == 2 and len(looked) > 20
    assert Machine.objects.filter(state='discovered').count() == 3
    done = said(run('adopt_by_rule.py', 'Dell servers', '--yes'))
    assert sorted(done[-2:]) == ['adopted: srv-ser0001', 'adopted: srv-ser0002']
    assert Machine.objects.filter(state='registered').count() == 2
    assert said(run('adopt_by_rule.py', 'Dell servers', '--yes')) == ['There is nothing to adopt.']
    assert server()


def test_a_machine_boots_rescue_once_and_is_wiped_only_with_its_name(run, two):
    (line,) = said(run('next_boot.py', 'srv-2', 'rescue'))
    assert line.startswith('srv-2 boots rescue: ')
    assert 'override' in refused(run('next_boot.py', 'srv-2', 'wipe'))
    assert said(run('next_boot.py', 'srv-2', 'wipe', '--override', 'srv-2'))[0].startswith('srv-2 boots wipe: ')
    assert said(run('next_boot.py', 'srv-2', 'local'))[0].startswith('srv-2 boots local: ')


def test_a_wave_is_made_out_of_a_filter(run, two, queues):
    asked = ('wave.py', 'To Debian', '--site', 'ber', '--role', 'server', '--profile', 'debian')
    assert said(run(*asked))[-1].startswith('To Debian: 2 machines.')
    assert Wave.objects.get().state == 'planned'
    lines = said(run('wave.py', 'Again', *asked[2:], '--start'))
    assert [line.split()[:2] for line in lines[:-1]] == [['srv-1', 'waiting'], ['srv-2', 'left-out']], lines
    assert 'has the status active' in lines[1] and Wave.objects.get(name='Again').state == 'running'


def test_artifacts_come_with_their_hashes(run, two, tmp_path):
    assert 'was never built' in refused(run('artifacts.py', 'srv-1'))
    build = builds.request(two[0])
    lines = said(run('artifacts.py', 'srv-1', '--save', str(tmp_path)))
    assert len(lines) == build.artifacts.count() > 0
    for line in lines:
        digest, name = line.split()
        content = (tmp_path / name).read_bytes()
        assert content == build.artifacts.get(name=name).content.encode()
        assert hashlib.sha256(content).hexdigest() == digest


def test_the_machines_of_a_wave_are_looked_at_before_its_window(run, two):
    from netbox_substruct.waves import moves

    wave = Wave.objects.create(name='Tonight')
    moves.add(wave, two, overrides={}, user=None)
    done = run('before_the_window.py', 'Tonight', '--patience', '0')
    assert done.returncode == 1, done.stderr
    assert 'srv-1' in done.stdout and 'failure' in done.stdout and 'of 2 would boot' in done.stdout


def test_what_failed_for_one_reason_is_tried_again(run, two):
    failed('srv-1', 'The mirror is away.')
    last = failed('srv-1', 'GET http://mirror.example.com/linux: no answer')
    assert said(run('retry.py', 'MIRROR.example.com', '--dry-run')) == [f'{last}: {last.error}']
    assert said(run('retry.py', 'mirror.example.com'))[0].startswith(f'{last} is tried again as srv-1 #')
    assert Build.objects.filter(state='pending').count() == 1
    done = run('retry.py', 'mirror.example.com')
    assert done.returncode == 1 and f'{last} is not: ' in done.stdout


def test_what_changed_since_it_was_looked_at_is_not_built(running, two):
    for change, code in ((True, 1), (False, 0)):
        with running('careful.py', 'srv-1') as process:
            assert process.stdout.readline() == 'srv-1 is registered and would become Debian.\n'
            if change:
                Machine.objects.get(pk=two[0].pk).save()
            _, err = process.communicate('y\n', timeout=60)
        assert process.returncode == code, err
        assert ('It is not what you have seen' in err) == change
        assert Build.objects.exists() != change


def test_many_at_once_in_the_background(running, two, queues):
    from ..automation.world import work

    with (
        mock.patch('netbox.api.viewsets.mixins.any_workers_for_queue', return_value=True),
        running('in_background.py', 'rescue', 'srv-1', 'srv-2', '--every', '0.2') as process,
    ):
        number = process.stdout.readline().split()[-1]
        work()
        assert process.stdout.readline() == f'job {number} is completed\n'
        assert process.wait(60) == 0
    assert {machine.next_boot for machine in Machine.objects.all()} == {'rescue'}


def test_every_build_of_a_site_is_stopped(run, two):
    build = builds.request(two[0])
    lines = said(run('stop_site.py', 'ber', '--reason', 'the storage is moved'))
    assert lines == [f'{build} is cancelled', '1 builds were stopped.']
    assert build.events.last().message.endswith('the storage is moved')
    assert said(run('stop_site.py', 'ber', '--reason', 'again')) == ['0 builds were stopped.']


def test_discovery_lists_shows_adopts_and_compares(run):
    from netbox_substruct.models import FactSet

    from ..discovery.world import NICS, a_device, a_world, discovered, server

    world = a_world()
    machine = discovered()
    a_device(world, 'planned-7', serial='OTHER', macs=(NICS[1],))

    assert said(run('discovery.py', 'list'))[0].split() == ['PowerEdge', 'R650', 'CK1RM22', 'CK1RM22']
    shown = run('discovery.py', 'show', machine.name)
    assert 'It may be planned-7:' in shown.stdout and '- NetBox has the serial number OTHER' in shown.stdout

    asked = ('discovery.py', 'adopt', machine.name, '--name', 'srv-7')
    proposed = run(*asked)
    assert proposed.returncode == 0 and 'role: Choose a role.' in proposed.stderr
    proposed = run(*asked, '--role', 'server')
    assert 'cable:eno1 ' in proposed.stdout and Machine.objects.get().state == 'discovered'
    adopted = said(run(*asked, '--role', 'server', '--leave', 'cable:eno1', '--yes'))
    assert 'is srv-7' in adopted[-1] and Machine.objects.get().device.name == 'srv-7'
    assert 'is adopted already' in run(*asked, '--role', 'server', '--yes').stderr

    FactSet.objects.update(data=server(system__serial='NEW1', chassis__serial='NEW1'))
    compared = said(run('discovery.py', 'difference', 'srv-7'))
    assert {line.split()[0] for line in compared} >= {'device:serial', 'cable:eno1'}
    written = said(run('discovery.py', 'difference', 'srv-7', '--accept', 'device:serial'))
    assert written == ['0 made, 1 changed, 0 removed']
    assert Machine.objects.get().device.serial == 'NEW1'
    again = run('discovery.py', 'difference', 'srv-7', '--accept', 'device:serial')
    assert 'There are no lines device:serial' in refused(again)
