"""A wave in a browser: machines are ticked, built a few at a time, one fails, and its page moves by itself."""

import re

import pytest

from .conftest import NARROW

ROOT = '/plugins/substruct'


@pytest.fixture(scope='module')
def rack(world):
    """Six machines in a rack, one of them in use, and a device that is not registered yet."""
    from dcim.models import Device, Rack

    from netbox_substruct.lifecycle import machines

    first = world.registered
    rack = Rack.objects.create(name='R17', site=first.site, u_height=42)
    devices = [
        Device.objects.create(
            name=f'r17-u{number:02}', site=first.site, rack=rack, device_type=first.device_type, role=first.role,
            status='active' if number == 5 else 'planned',
        )
        for number in range(1, 8)
    ]  # fmt: skip
    for device in devices[:6]:
        machines.register(device, profile=world.profile)
    return rack


def carry_on(wave):
    """What a worker does when it is woken."""
    from netbox_substruct.waves import running

    running.advance(wave.pk)


def end(wave, number, kind, message):
    from netbox_substruct.lifecycle import builds

    member = wave.members.filter(state='building').order_by('order')[number]
    builds.record(member.build, kind, message=message)


def visit_rack(visitor, rack):
    """Its elevation is drawn with a style sheet that is only there where NetBox's static files were gathered."""
    visitor.page.goto(f'{visitor.base}/dcim/racks/{rack.pk}/')
    visitor.settle()
    visitor.errors.clear()


def wait_for(visitor, text):
    """Until the page says so, without being loaded anew."""
    visitor.page.locator('#wave-live', has_text=text).wait_for()


def test_machines_of_a_rack_are_built_in_a_wave_that_stops_when_one_fails(wide, world, rack):
    from netbox_substruct.lifecycle import builds
    from netbox_substruct.models import Wave

    page = wide.page
    visit_rack(wide, rack)
    with page.expect_navigation():
        page.get_by_role('link', name='Build in a Wave').click()
    wide.settle()
    wide.check()
    assert wide.says('r17-u05 has the status active') and wide.says('a few at a time')
    page.get_by_label('r17-u06', exact=True).uncheck()
    page.fill('input[name=at_once]', '2')
    page.fill('input[name=max_failures]', '0')
    page.get_by_label('Start at once').check()
    page.fill('input[name=repeat_name]', 'something else')
    with page.expect_navigation():
        page.get_by_role('button', name='Make the wave').click()
    wide.settle()
    wide.check()
    assert wide.says('That is not the name of the wave')
    page.fill('input[name=repeat_name]', 'R17')
    with page.expect_navigation():
        page.get_by_role('button', name='Make the wave').click()
    wide.settle()
    wide.check()
    wave = Wave.objects.get(name='R17')
    assert wide.says('Wave R17 has 5 machines') and wide.says('0 of 5 built') and wide.says('Left out')

    page.evaluate('window.same = true')
    carry_on(wave)
    wait_for(wide, 'The canaries are being built')
    wait_for(wide, 'It waits until the canaries are complete.')  # that is each machine's own reason
    end(wave, 0, 'finished', 'Finished')
    carry_on(wave)
    wait_for(wide, '1 of 5 built')
    wait_for(wide, 'As many machines are being built as may be at once: 2')
    builds.record(wave.members.filter(state='building')[0].build, 'progress', progress=40, message='Writing')
    wait_for(wide, '40%')
    wide.check()
    wide.for_manual('wave')
    end(wave, 1, 'failed', 'No disk was found.')
    carry_on(wave)
    wait_for(wide, 'A machine has failed, and none may.')
    wait_for(wide, 'No disk was found.')
    wide.check()
    assert page.evaluate('window.same') is True, 'it was loaded anew'

    with page.expect_navigation():
        page.get_by_role('link', name='Retry the failed').click()
    wide.settle()
    wide.check()
    with page.expect_navigation():
        page.get_by_role('button', name='Retry').click()
    wide.settle()
    carry_on(wave)
    wait_for(wide, 'Under way')
    for _ in range(3):
        end(wave, 0, 'finished', 'Finished')
        carry_on(wave)
    wait_for(wide, '4 of 5 built')
    wait_for(wide, '4 built, 1 left out')
    assert page.evaluate('document.querySelector("#wave-live").hasAttribute("hx-get")') is False
    wide.check()


def test_devices_ticked_in_their_list_are_registered_and_put_into_a_wave(wide, rack):
    from netbox_substruct.models import Wave

    page = wide.page
    wide.visit(f'/dcim/devices/?rack_id={rack.pk}&name=r17-u06&name=r17-u07')
    for box in page.locator('tbody input[name=pk]').all():
        box.check()
    with page.expect_navigation():
        page.get_by_role('button', name='Build in a Wave').click()
    wide.settle()
    wide.check()
    assert wide.says('It is registered for provisioning first')
    page.fill('input[name=name]', 'Two by hand')
    with page.expect_navigation():
        page.get_by_role('button', name='Make the wave').click()
    wide.settle()
    wide.check()
    wave = Wave.objects.get(name='Two by hand')
    assert wave.state == 'planned' and wide.says('r17-u07 has no profile')
    assert wide.says('Nothing is built before somebody starts it') or wide.says('Left out')


def test_the_pages_of_a_wave_fit_into_a_narrow_window_and_work_with_the_keyboard(visitor, world, rack):
    narrow = visitor(world.admin, NARROW)
    wave = world.of_model['wave']
    narrow.visit(f'{ROOT}/machines/wave/?rack_id={rack.pk}')
    for action in ('start', 'edit'):
        narrow.visit(f'{ROOT}/waves/{wave.pk}/{action}/')
    narrow.visit(f'{ROOT}/waves/{wave.pk}/')
    narrow.page.locator('#wave-start').focus()
    narrow.page.keyboard.press('Enter')
    narrow.settle()
    assert re.search('/start/', narrow.page.url)
    narrow.page.fill('input[name=name]', 'not its name')
    with narrow.page.expect_navigation():
        narrow.page.get_by_role('button', name='Start').click()
    narrow.settle()
    assert narrow.says('That is not the name of the wave')


def test_who_may_only_look_is_offered_nothing_else(visitor, world, rack):
    from .conftest import WIDE

    viewer = visitor(world.viewer, WIDE)
    wave = world.of_model['wave']
    viewer.visit(f'{ROOT}/waves/{wave.pk}/')
    assert viewer.says(str(wave)) and not viewer.page.locator('#wave-start').count()
    assert not viewer.page.locator('#wave-add').count()
    visit_rack(viewer, rack)
    assert not viewer.says('Build in a Wave')
    viewer.visit(f'{ROOT}/waves/{wave.pk}/start/', status=403)
