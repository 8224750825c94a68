"""Every page of the plugin, opened in a browser: it answers, its scripts run, and it fits into a narrow window.

What the pages say is held in tests/plugin/surface; here is what only a browser sees.
"""

import re

import pytest

from .conftest import WIDE

ROOT = '/plugins/substruct'
PATHS = {
    'bmc': 'bmcs', 'bootimage': 'boot-images', 'bootserver': 'boot-servers', 'build': 'builds',
    'buildartifact': 'build-artifacts', 'buildevent': 'build-events', 'discoveryrule': 'discovery-rules',
    'factset': 'fact-sets', 'machine': 'machines', 'profile': 'profiles', 'profiletemplate': 'profile-templates',
    'subnet': 'subnets', 'task': 'tasks', 'wave': 'waves', 'wavemember': 'wave-members', 'zone': 'zones',
}  # fmt: skip
RECORDS = ('buildartifact', 'buildevent')  # written by what happens; nobody adds, imports or edits them
FIXED = (*RECORDS, 'factset')  # not edited


def test_no_model_is_left_out():
    from django.apps import apps

    models = apps.get_app_config('netbox_substruct').get_models()
    # What is private has no pages; tables of the feed have neither pages nor views.
    assert set(PATHS) == {model._meta.model_name for model in models if hasattr(model, 'get_absolute_url')}


@pytest.mark.parametrize('model', PATHS)
def test_every_page_of_a_model_opens_and_fits(narrow, world, model):
    path, obj = f'{ROOT}/{PATHS[model]}/', world.of_model[model]
    narrow.visit(path)
    if model not in FIXED:
        narrow.page.locator('input[name=pk]').first.check()
        with narrow.page.expect_navigation():
            narrow.page.locator('button[formaction*="/edit/"]').first.click()
        narrow.settle()
        assert 'Editing' in narrow.page.title(), narrow.page.title()
        narrow.check()
    if model not in RECORDS:
        narrow.visit(f'{path}add/')
        narrow.visit(f'{path}import/', kind='import')
    for each in (obj, *world.further.get(model, ())):
        narrow.visit(f'{path}{each.pk}/')
        assert str(each) in narrow.page.title()
    if model not in FIXED:
        narrow.visit(f'{path}{obj.pk}/edit/')
    narrow.visit(f'{path}{obj.pk}/delete/')


def test_the_tabs_and_actions_of_a_machine_open_and_fit(narrow, world):
    path = f'{ROOT}/machines/'
    building, failed = world.of_model['machine'], world.further['machine'][0]
    for tab in ('builds', 'parameters', 'preview', 'journal'):
        narrow.visit(f'{path}{building.pk}/{tab}/')
    narrow.visit(f'{path}{world.broken.pk}/preview/')
    assert narrow.says('line 2') and narrow.says('A build would be refused')
    for action in ('build', 'next-boot', 'retire'):
        narrow.visit(f'{path}{failed.pk}/{action}/')
    narrow.visit(f'{ROOT}/builds/{world.of_model["build"].pk}/cancel/')
    narrow.visit(f'{ROOT}/tasks/{world.of_model["task"].pk}/retry/')


def test_devices_and_virtual_machines_show_how_they_are_provisioned(narrow, world):
    for path, words in (
        (f'/dcim/devices/{world.registered.pk}/', 'Build #'),
        (f'/dcim/devices/{world.device.pk}/', 'Not registered'),
        (f'/virtualization/virtual-machines/{world.virtual_machine.pk}/', 'no build was requested'),
    ):
        narrow.visit(path)
        assert narrow.says('Provisioning') and narrow.says(words), path
    narrow.visit(f'/dcim/devices/{world.device.pk}/substruct-register/')


def test_devices_ticked_in_their_list_can_be_registered(narrow, world):
    narrow.visit(f'/dcim/devices/?id={world.device.pk}')
    narrow.page.locator('input[name=pk]').first.check()
    with narrow.page.expect_navigation():
        narrow.page.get_by_role('button', name='Register for Provisioning').click()
    narrow.settle()
    narrow.check()
    assert narrow.says('Register 1 devices for provisioning')


def test_the_menu_leads_to_every_list(wide):
    wide.visit('/')
    found = set(wide.page.eval_on_selector_all('nav a, aside a', 'links => links.map(link => link.pathname)'))
    assert found >= {f'{ROOT}/{path}/' for path in PATHS.values()}


def test_values_are_shown_in_words(wide, world):
    wide.visit(f'{ROOT}/machines/{world.of_model["machine"].pk}/')
    assert wide.says('iPXE exit with failure (UEFI)')
    wide.for_manual('machine')
    wide.visit(f'{ROOT}/machines/{world.further["machine"][0].pk}/')
    assert wide.says('iPXE sanboot (BIOS)') and wide.says('No mirror could be reached')
    server, silent = world.of_model['bootserver'], world.further['bootserver'][0]
    wide.visit(f'{ROOT}/boot-servers/{server.pk}/')
    assert wide.says('Out of step') and wide.says('Port 69 is taken by dnsmasq') and wide.says('ago')
    wide.visit(f'{ROOT}/boot-servers/{silent.pk}/')
    assert wide.says('Never heard of. It reports here once its sidecar runs')


def test_a_device_becomes_a_machine_is_built_and_the_build_is_cancelled(wide, world):
    page = wide.page
    wide.visit(f'/dcim/devices/{world.device.pk}/')
    page.get_by_role('button', name='Register for provisioning').click()
    page.locator('.ts-control').first.click()
    page.locator('.ts-dropdown .option', has_text=world.profile.name).first.click()
    page.get_by_role('button', name='Register').click()
    wide.settle()
    assert wide.says('Registered target-1')

    page.locator('.card', has_text='Provisioning').get_by_role('link', name='target-1').click()
    page.get_by_role('link', name='Preview').click()
    wide.settle()
    assert wide.says('boot.ipxe') and wide.says('d-i netcfg/get_hostname string target-1')

    page.get_by_role('link', name='Machine', exact=True).first.click()
    wide.settle()
    assert wide.says('It has a profile, and was not built yet. Build it.')
    page.locator('#next-step').click()
    wide.settle()
    page.get_by_text('Machine and profile').wait_for()
    assert wide.says('has the status active')
    wide.for_manual('request')
    build = page.get_by_role('button', name='Build', exact=True)
    build.click()
    wide.settle()
    assert wide.says('give its exact name as the override')
    page.fill('input[name=override]', 'target-1')
    build.click()
    wide.settle()
    assert wide.says('Requested build target-1')

    page.get_by_role('link', name=re.compile(r'^target-1 #\d+$')).first.click()
    wide.settle()
    assert re.search(r'/builds/\d+/$', page.url), page.url
    assert wide.says(f'Requested by {world.admin}')
    page.get_by_role('link', name='preseed.cfg').click()
    wide.settle()
    assert wide.says('d-i netcfg/get_hostname string target-1')
    page.go_back()
    wide.settle()

    page.get_by_role('button', name='Cancel build').click()
    page.fill('input[name=reason]', 'only a rehearsal')
    page.get_by_role('button', name='Cancel the build').click()
    wide.settle()
    assert wide.says('only a rehearsal')
    assert not page.get_by_role('button', name='Cancel build').count()
    assert not wide.errors


def test_who_may_only_view_is_offered_nothing_else(visitor, world):
    viewer = visitor(world.viewer, WIDE)
    doing = re.compile(r'/(add|edit|delete|import|build|cancel|retire|next-boot|retry|register|substruct-register)/')

    def offered():
        return viewer.page.eval_on_selector_all(
            'a[href], button[formaction]', "all => all.map(each => each.getAttribute('formaction') || each.pathname)"
        )

    models = ('machine', 'build', 'buildartifact', 'bootserver', 'profile', 'task')
    pages = [f'{ROOT}/{PATHS[model]}/{world.of_model[model].pk}/' for model in models]
    for page in (*pages, f'{ROOT}/machines/', f'{ROOT}/builds/', f'/dcim/devices/{world.device.pk}/'):
        viewer.visit(page)
        wrong = [url for url in offered() if 'substruct' in url and doing.search(url)]
        assert not wrong, f'{page}: {wrong}'
    machine = world.of_model['machine'].pk
    for page in (f'machines/{machine}/build/', f'machines/{machine}/preview/', 'machines/add/'):
        viewer.visit(f'{ROOT}/{page}', status=403)
