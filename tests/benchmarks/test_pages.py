"""How long pages take, with 10,000 machines and 100,000 build events, beside NetBox's own device list in the same run.

A page's time is that of its HTML and of what it loads by itself afterwards (the tables that NetBox puts into panels),
one request after the other over one connection, served by gunicorn as `bin/lab` serves.  The pages are asked for in
turns, so that whatever else the computer does falls on all of them alike.
"""

import html
import re
import statistics
import time
from dataclasses import dataclass

import pytest
import requests

from .conftest import Labs, Report, SeededLab, shell, sizes

ROUNDS = 15
EVENTS = 100_000
PEER = "NetBox's device list"
# Ours is "no slower" within what the medians of two runs of the same page differ by.
SAME = 1.05

# Builds of the past for as many events as are wanted, a wave of 1,000, and a build that somebody watches.  Rows that
# `lifecycle` would write one by one are copied from the seeded ones.
_HISTORY = """
from datetime import timedelta
from django.db import connection
from django.utils import timezone
from dcim.models import Device
from users.models import User
from netbox_substruct.models import Build, BuildEvent, BootServer, Machine, Profile, Task, Wave, WaveMember
from netbox_substruct.waves import moves

EVENTS = {events}
now = timezone.now()
if BuildEvent.objects.count() < EVENTS:
    complete = Build.objects.filter(state='complete').first()
    story = list(complete.events.order_by('time').values('kind', 'message', 'progress', 'time'))
    machines = list(Machine.objects.filter(state='built').order_by('pk').values_list('pk', 'profile_id'))
    wanted = (EVENTS - BuildEvent.objects.count()) // len(story) + 1
    builds = []
    for number in range(wanted):
        machine, profile = machines[number % len(machines)]
        begun = now - timedelta(minutes=10 * (wanted - number) % (60 * 24 * 85) + 20)
        builds.append(Build(
            machine_id=machine, profile_id=profile, state='complete', progress=100, request=complete.request,
            started=begun + timedelta(seconds=46), finished=begun + timedelta(seconds=500 + number % 173),
        ))
    Build.objects.bulk_create(builds, batch_size=1000)
    first = story[0]['time']
    BuildEvent.objects.bulk_create(
        (
            BuildEvent(build=build, kind=line['kind'], message=line['message'], progress=line['progress'],
                       time=build.started + (line['time'] - first))
            for build in builds for line in story
        ), batch_size=5000,
    )
admin = User.objects.filter(is_superuser=True).first()
# It runs, and its window is not open yet: so its page says why it waits, and no worker begins its builds.
wave, made = Wave.objects.get_or_create(
    name='A thousand',
    defaults={{
        'at_once': 20, 'canaries': 2, 'state': 'running', 'started': now, 'not_before': now + timedelta(days=9),
    }},
)
if made:
    waiting = Machine.objects.filter(state='registered', profile__isnull=False).order_by('pk')
    others = Machine.objects.filter(state='built', profile__isnull=False).order_by('pk')
    chosen = [*waiting[:1000], *others[:1000]][:1000]
    WaveMember.objects.bulk_create(
        WaveMember(wave=wave, machine=machine, order=number * 10) for number, machine in enumerate(chosen, 1)
    )
build = Build.objects.filter(state='failed', machine__device__isnull=False).order_by('-pk').first()
server = BootServer.objects.order_by('pk').first()
profile = Profile.objects.get(slug='debian-12')
with connection.cursor() as cursor:
    cursor.execute('ANALYZE')
print('>>>', Machine.objects.count(), BuildEvent.objects.count(), Build.objects.count(), wave.members.count(), build.pk,
      build.machine_id, build.machine.device_id, server.pk, profile.pk, wave.pk)
"""

# Somebody whose device list has our columns beside NetBox's own.
_COLUMNS = """
from dcim.tables import DeviceTable
from users.models import User
user = User.objects.filter(username='columns').first() or User.objects.create_superuser('columns')
user.set_password({password!r})
user.save()
usual = list(DeviceTable.Meta.default_columns)
more = ['substruct_state', 'substruct_profile', 'substruct_last_build']
user.config.set('tables.DeviceTable.columns', usual + more, commit=True)
"""
WITH_COLUMNS = 'device list with our three columns'


@dataclass(frozen=True)
class World:
    lab: SeededLab
    machines: int
    events: int
    paths: dict[str, str]


@pytest.fixture(scope='module', params=sizes((10_000,)))
def world(request: pytest.FixtureRequest, labs: Labs) -> World:
    lab = labs.of(request.param)
    events_wanted = EVENTS * request.param // 10_000
    found = [int(word) for word in shell(lab.lab, _HISTORY.format(events=events_wanted)).split()]
    machines, events, _builds, _members, build, machine, device, server, profile, wave = found
    ours = '/plugins/substruct'
    return World(
        lab, machines, events,
        {
            PEER: '/dcim/devices/',
            "NetBox's page of a device": f'/dcim/devices/{device}/',
            'machines': f'{ours}/machines/',
            'builds': f'{ours}/builds/',
            'build events': f'{ours}/build-events/',
            'overview': f'{ours}/overview/',
            'discovery inbox': f'{ours}/machines/inbox/',
            'waves': f'{ours}/waves/',
            'a wave of 1,000': f'{ours}/waves/{wave}/',
            'a build': f'{ours}/builds/{build}/',
            'a machine': f'{ours}/machines/{machine}/',
            'Provisioning tab of a device': f'/dcim/devices/{device}/provisioning/',
            'a boot server': f'{ours}/boot-servers/{server}/',
            'a profile': f'{ours}/profiles/{profile}/',
            'device list by provisioning state': '/dcim/devices/?substruct_state=failed&substruct_state=registered',
        },
    )  # fmt: skip


def signed_in(lab: SeededLab, username: str = '') -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    login = f'{lab.url}login/'
    session.get(login, timeout=60)
    accounts = lab.lab.accounts
    answer = session.post(
        login,
        data={
            'username': username or accounts.username, 'password': accounts.password,
            'csrfmiddlewaretoken': session.cookies['csrftoken'],
        },
        headers={'Referer': login}, timeout=60,
    )  # fmt: skip
    assert '/login/' not in answer.url
    return session


_LOADED = re.compile(r'<[^>]*\bhx-get="([^"]+)"[^>]*\bhx-trigger="load[^"]*"')


def load(lab: SeededLab, session: requests.Session, path: str) -> tuple[float, int]:
    """Seconds for a page and what it loads by itself; and how many requests that were."""
    base = lab.url.rstrip('/')
    begun = time.perf_counter()
    answer = session.get(base + path, timeout=300)
    assert answer.status_code == 200, f'{path}: {answer.status_code}'
    parts = [html.unescape(found) for found in _LOADED.findall(answer.text)]
    for part in parts:
        loaded = session.get(base + part, headers={'HX-Request': 'true'}, timeout=300)
        assert loaded.status_code == 200, f'{part}: {loaded.status_code}'
    return time.perf_counter() - begun, 1 + len(parts)


def test_pages(world: World, report: Report) -> None:
    shell(world.lab.lab, _COLUMNS.format(password=world.lab.lab.accounts.password))
    usual, columns = signed_in(world.lab), signed_in(world.lab, 'columns')
    pages = [(name, path, usual) for name, path in world.paths.items()]
    pages.append((WITH_COLUMNS, world.paths[PEER], columns))
    took: dict[str, list[float]] = {name: [] for name, _path, _session in pages}
    counts = {}
    for number in range(ROUNDS + 2):  # the first two fill caches
        for name, path, session in pages:
            seconds, counts[name] = load(world.lab, session, path)
            if number >= 2:
                took[name].append(seconds)
    peer = statistics.median(took[PEER])
    for name, times in took.items():
        if name != PEER:
            what = f'{name} ({world.machines:,} machines, {world.events:,} events)'
            _add(report, what, statistics.median(times), counts[name], peer)


def _add(report: Report, what: str, seconds: float, count: int, peer: float) -> None:
    ratio = seconds / peer
    word = 'no slower' if ratio <= SAME else 'slower'
    report.add(
        what,
        f'{1000 * seconds:.0f} ms' + (f' in {count} requests' if count > 1 else ''),
        f'{PEER} {1000 * peer:.0f} ms',
        f'{ratio:.2f} times ({word})',
    )
