"""The life of a build in a browser: it is watched, fails, is understood, tried again and cancelled."""

from datetime import timedelta

import pytest
from django.utils import timezone

from .conftest import NARROW, WIDE

ROOT = '/plugins/substruct'
# What is polled every two seconds is there long before; a busy host gets time.
PATIENCE = 90_000
LOG = ''.join(
    f'{line}\n'
    for line in (
        'Nov 21 12:04:12 anna[2201]: Retrieving bootstrap-base 1.217',
        'Nov 21 12:04:20 base-installer: info: Found kernel linux-image-amd64',
        'Nov 21 12:05:03 debootstrap: Unpacking the base system',
    )
)
FAILURE = ''.join(
    f'{line}\n'
    for line in (
        'Nov 21 12:05:40 debootstrap: Retrieving http://deb.example.com/debian trixie Release',
        'Nov 21 12:05:41 base-installer: error: exiting on error base-installer/no_codename',
    )
)


def until(who, text, place='body'):
    """Until the page says so by itself."""
    who.page.locator(place, has_text=text).first.wait_for(timeout=PATIENCE)


@pytest.fixture(scope='module')
def told(world):
    """A machine that was built before, whose new build has begun; and what tells the next of it."""
    from netbox_substruct.lifecycle import builds
    from netbox_substruct.models import Build

    machine = world.further['machine'][3]
    machine.refresh_from_db()
    machine.parameters = {'time_zone': 'Etc/UTC', 'owner': 'app'}
    machine.save()
    build = builds.request(machine, user=world.admin, override=machine.name, description='Time in UTC')
    begun = timezone.now() - timedelta(minutes=6)
    Build.objects.filter(pk=build.pk).update(created=begun)
    build.events.update(time=begun)

    def tell(kind, minutes=None, **more):
        time = begun + timedelta(minutes=minutes) if minutes is not None else timezone.now()
        builds.record(build, kind, time=time, **more)

    return machine, build, tell


def test_a_build_is_watched_while_it_moves(wide, told):
    _machine, build, tell = told
    page = wide.page
    wide.visit(f'{ROOT}/builds/{build.pk}/')
    assert wide.says('It waits for the machine') and wide.says('Nothing was written yet')
    page.evaluate('window.stayed = true')

    tell('address-offered', 1, message='10.8.1.14')
    tell('loader-fetched', 1.2, message='snponly.efi')
    tell('kernel-fetched', 1.5, message='linux, initrd.gz')
    until(wide, 'Booting', '#build-live .badge')
    tell('config-fetched', 2, message='preseed.cfg')
    tell('note', 3, message='installer log', log=LOG)
    until(wide, 'Installing', '#build-live .badge')
    until(wide, 'Unpacking the base system', '#build-log')
    page.locator('#build-live details summary').click()
    tell('progress', 5, progress=62, message='Installing the base system')
    until(wide, '62%', '#build-live .card-body')
    assert page.locator('#build-live details').evaluate('each => each.open'), 'a log that was opened stays open'
    assert page.evaluate('window.stayed'), 'the page was loaded anew'
    assert not wide.errors
    page.locator('#build-live details summary').click()
    wide.for_manual('build')


def test_the_device_shows_it_too(wide, visitor, world, told):
    machine, build, _tell = told
    wide.visit(f'/dcim/devices/{machine.device_id}/')
    assert wide.says(f'Build #{build.pk} is under way')
    wide.page.get_by_role('button', name='Watch').wait_for()
    wide.page.locator('.nav-tabs a', has_text='Provisioning').click()
    wide.settle()
    wide.check()
    assert wide.says('62%') and wide.says('History') and wide.says('preseed.cfg')
    wide.for_manual('provisioning')
    narrow = visitor(world.admin, NARROW)
    for path in (f'/dcim/devices/{machine.device_id}/provisioning/', f'{ROOT}/builds/{build.pk}/'):
        narrow.visit(path)
        assert narrow.says('62%')
    narrow.visit(f'/dcim/devices/{world.device.pk}/provisioning/')
    assert narrow.says('Register it, choose a profile')


def test_it_fails_and_one_reads_why(wide, told):
    machine, _build, tell = told
    page = wide.page
    wide.visit(f'/dcim/devices/{machine.device_id}/provisioning/')
    page.evaluate('window.stayed = true')
    tell('failed', message='No mirror could be reached', log=FAILURE)
    # What stands beside the build follows by itself.
    until(wide, 'Read why and try again', '#next-step')
    assert page.evaluate('window.stayed'), 'the page was loaded anew'
    page.locator('#next-step').click()
    wide.settle()
    wide.check()
    assert wide.says('No mirror could be reached') and wide.says('exiting on error base-installer/no_codename')
    assert page.locator('#build-live').get_attribute('hx-get') is None, 'nothing happens any more'
    assert not page.get_by_role('button', name='Cancel build').count()
    wide.for_manual('failed')

    page.get_by_role('link', name='What changed since the last good build').click()
    wide.settle()
    wide.check()
    assert wide.says('parameters.time_zone')
    assert wide.says('-d-i time/zone string Europe/Berlin') and wide.says('+d-i time/zone string Etc/UTC')
    wide.for_manual('changes')


def test_it_is_tried_again_and_cancelled(wide, told):
    machine, build, _tell = told
    page = wide.page
    wide.visit(f'{ROOT}/builds/{build.pk}/')
    page.get_by_role('button', name='Try again').click()
    wide.settle()
    wide.check()
    assert wide.says('as they are now') and wide.says('has the status active')
    page.get_by_role('button', name='Try again').click()
    wide.settle()
    assert wide.says('give its exact name as the override')
    page.fill('input[name=override]', machine.name)
    page.get_by_role('button', name='Try again').click()
    wide.settle()
    wide.check()
    assert wide.says(f'Requested build {machine.name}') and wide.says('It waits for the machine')

    page.get_by_role('button', name='Cancel build').click()
    page.fill('input[name=reason]', 'the mirror is away until noon')
    page.get_by_role('button', name='Cancel the build').click()
    wide.settle()
    wide.check()
    assert wide.says('the mirror is away until noon') and wide.says('Cancelled')
    wide.for_manual('cancelled')
    assert page.get_by_role('button', name='Try again').count() == 1
    assert not wide.errors


def test_who_may_only_view_watches_and_is_offered_nothing(visitor, world, told):
    machine, build, _tell = told
    viewer = visitor(world.viewer, WIDE)
    for path in (f'{ROOT}/builds/{build.pk}/', f'/dcim/devices/{machine.device_id}/provisioning/'):
        viewer.visit(path)
        assert not viewer.page.get_by_role('button', name='Try again').count()
        assert not viewer.page.get_by_role('button', name='Cancel build').count()
    viewer.visit(f'{ROOT}/builds/{build.pk}/retry/', status=403)
