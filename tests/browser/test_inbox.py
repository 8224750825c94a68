"""The discovery inbox in a browser: many machines adopted after one review, and a rule tried before it is saved."""

import pytest

from .conftest import NARROW

INBOX = '/plugins/substruct/machines/inbox/'
RULES = '/plugins/substruct/discovery-rules/'


@pytest.fixture(scope='module')
def waiting(world):
    """Three machines that wait, one of which NetBox may have, and a rule that fits."""
    from netbox_substruct.models import DiscoveryRule
    from tests.plugin.discovery.world import a_device, a_world, another

    DiscoveryRule.objects.all().delete()
    around = a_world()
    machines = [another(number) for number in (1, 2, 3)]
    a_device(around, 'planned-7', serial='SER0003')
    rule = DiscoveryRule.objects.create(
        name='Dell servers', condition={'manufacturer': 'Dell*'}, host_name_template='srv-{{ serial | lower }}',
        role=around.role, site=around.site,
    )  # fmt: skip
    return machines, rule


def test_a_rule_is_tried_before_it_is_saved(wide, world, waiting):
    page = wide.page
    wide.visit(f'{RULES}{waiting[1].pk}/edit/')
    page.get_by_label('Condition').fill('{"serial": "*2"}')
    page.get_by_role('button', name='Dry Run').click()
    page.get_by_text('Takes it').first.wait_for()
    wide.check()
    assert wide.says('srv-ser0002') and wide.says('serial is "SER0001", wanted is "*2"')
    wide.for_manual('rule-dry-run')
    wide.visit(f'{RULES}{waiting[1].pk}/dry-run/')
    assert wide.says('would take these 3')


def test_many_are_adopted_after_one_review(wide, world, waiting):
    page = wide.page
    wide.visit(INBOX)
    assert wide.says('planned-7') and wide.says('Dell servers')
    wide.for_manual('inbox')
    for machine in waiting[0]:
        page.locator(f'input[name=pk][value="{machine.pk}"]').check()
    page.get_by_role('button', name='Adopt Selected').click()
    wide.settle()
    wide.check()
    assert wide.says('Device srv-ser0001 (new)') and wide.says('It may be planned-7')
    page.get_by_role('button', name='Adopt 2 machines').click()
    wide.settle()
    wide.check()
    assert wide.says('2 of 2 machines adopted')
    page.get_by_role('link', name='Back').click()
    wide.settle()
    assert wide.says('SER0003') and not wide.says('SER0001')


def test_its_pages_fit_into_a_narrow_window(visitor, world, waiting):
    narrow = visitor(world.admin, NARROW)
    narrow.visit(INBOX)
    narrow.page.locator('input[name=pk]').first.check()
    narrow.page.get_by_role('button', name='Adopt Selected').click()
    narrow.settle()
    narrow.check()
    narrow.visit(f'{RULES}{waiting[1].pk}/dry-run/')
