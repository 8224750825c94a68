"""The preflight in a browser: it asks and moves by itself, and stands on the build form."""

import pytest

from .conftest import NARROW, WIDE

ROOT = '/plugins/substruct/machines'


@pytest.fixture(scope='module')
def site(world):
    from tests.plugin.preflight.world import Site

    made = Site()
    made.world.profile.disk_layout = {'disk': '/dev/sda'}
    made.world.profile.save()
    return made


def answer(site, *steps):
    """The boot server answers what it was asked."""
    from netbox_substruct import preflight
    from netbox_substruct.lifecycle import tasks

    claimed = tasks.claim(site.server)
    for task in claimed:
        found, error = preflight.taken({'format_version': 1, 'steps': list(steps)}, '')
        tasks.answer(task, answer=found, error=error)
    return claimed


def step(key, outcome, words, remedy='', breaks=False):
    return {'key': key, 'outcome': outcome, 'words': words, 'remedy': remedy, 'breaks': breaks}


STEPS = (
    step('known', 'ok', 'This boot server knows it as a-1.example.com.'),
    step('dhcp', 'ok', '10.1.0.2 offers UEFI 10.1.0.11 and snponly.efi from 10.1.0.2.'),
    step('loader', 'ok', 'snponly.efi is here, and TFTP serves it.'),
    step('script', 'ok', 'Its own disk, until a build is requested.'),
    step('files', 'failure', 'There is no prospector for x86_64 on this boot server.',
         'substruct-sidecar prospector build --arch x86_64', True),
    step('dns', 'warning', 'The name server 10.1.0.53 has nothing for a-1.example.com, and not 10.1.0.11.',
         'Give the address its DNS name in NetBox, and its zone a boot server.'),
)  # fmt: skip


def test_it_asks_and_shows_the_answer_when_it_is_there(wide, site):
    page = wide.page
    page.goto(f'{wide.base}{ROOT}/{site.machine.pk}/preflight/')
    page.get_by_text('not answered yet').wait_for()
    assert len(answer(site, *STEPS)) == 1
    page.get_by_text('A build would fail').wait_for()
    wide.settle()
    wide.check()
    assert wide.says('There is no prospector for x86_64') and wide.says('A build is refused until this is mended.')
    for size in (NARROW, WIDE):
        page.set_viewport_size(size)
        wide.check()
    wide.for_manual('preflight')


def test_it_is_asked_anew_by_a_button_that_the_keyboard_reaches(wide, site):
    page = wide.page
    page.goto(f'{wide.base}{ROOT}/{site.machine.pk}/preflight/')
    page.get_by_role('button', name='Look again').focus()
    page.keyboard.press('Enter')
    page.get_by_text('not answered yet').wait_for()
    answer(site, step('known', 'ok', 'This boot server knows it.'))
    page.get_by_text('not answered yet').wait_for(state='detached')
    assert not wide.says('A build would fail')


def test_the_build_form_shows_it_and_a_build_that_would_fail_is_refused_with_the_reason(wide, site):
    from netbox_substruct import preflight

    page = wide.page
    preflight.ask(site.machine)
    answer(site, *STEPS)
    wide.visit(f'{ROOT}/{site.machine.pk}/build/')
    page.get_by_text('A build would fail').wait_for()
    assert wide.says('It becomes Debian.')
    page.get_by_role('button', name='Build', exact=True).click()
    wide.settle()
    assert wide.says('Boot files: There is no prospector for x86_64')
    assert not site.machine.builds.exists()


def test_the_form_of_builds_shows_it_as_soon_as_a_machine_is_chosen(wide, site):
    page = wide.page
    wide.visit('/plugins/substruct/builds/add/')
    page.get_by_text('Choose a machine: whether it would boot').wait_for()
    page.evaluate(
        """key => { const field = document.querySelector('#id_machine').tomselect;
                    field.addOption({id: key, display: 'chosen'}); field.setValue(key); }""",
        str(site.machine.pk),
    )
    page.get_by_text('A build would fail').wait_for()
    assert wide.says('It becomes Debian.')


def test_narrow_windows_show_all_of_it(narrow, site):
    narrow.page.goto(f'{narrow.base}{ROOT}/{site.machine.pk}/preflight/')
    narrow.page.get_by_text('A build would fail').wait_for()
    narrow.check()
