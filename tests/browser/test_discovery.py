"""Discovery in a browser: a machine that reported itself is adopted, and compared with what NetBox holds."""

import pytest

from .conftest import NARROW, WIDE

ROOT = '/plugins/substruct/machines'


@pytest.fixture(scope='module')
def found(world):
    """A discovered machine, a device that it may be, and the small NetBox around them."""
    from netaddr import IPNetwork

    from ipam.models import Prefix

    from tests.plugin.discovery.world import NICS, a_device, a_world, discovered, server

    around = a_world()
    a_device(around, 'planned-7', serial='OTHER', macs=(NICS[1],))
    # The data centre of these tests has the networks of that small NetBox too, so nobody could know which is meant.
    Prefix.objects.create(prefix=IPNetwork('10.77.1.0/24'), scope=around.site)
    return around, discovered(server(interfaces__0__addresses=['10.77.1.107/24']))


def test_a_discovered_machine_is_adopted_after_a_review(wide, found):
    around, machine = found
    page = wide.page
    wide.visit(f'{ROOT}/{machine.pk}/')
    assert wide.says('PowerEdge R650') and wide.says('planned-7') and wide.says('OTHER for it')
    page.locator('#next-step').click()
    wide.settle()
    wide.check()
    page.fill('input[name=name]', 'srv-7')
    field = page.locator('.row', has=page.locator('select[name=role]')).last
    field.locator('.ts-control').click()
    page.locator('.ts-dropdown .option', has_text=around.role.name).first.click()
    page.get_by_role('button', name='Review').click()
    wide.settle()
    wide.check()
    assert wide.says('Device srv-7 (new)') and wide.says('Cable of eno1 to leaf-17a') and wide.says('32 GiB DDR4')
    wide.for_manual('adopt')

    page.locator('select[name="map:eno1"]').select_option('port3')
    page.get_by_role('button', name='Show again').click()
    wide.settle()
    wide.check()
    assert wide.says('Interface port3 (found as eno1)')
    page.locator('input[value="item:cpu:CPU 1"]').uncheck()
    page.get_by_role('button', name='Adopt', exact=True).click()
    wide.settle()
    wide.check()
    assert wide.says('is now srv-7')

    page.locator('.page-tabs a', has_text='Facts').click()
    wide.settle()
    wide.check()
    assert wide.says('Intended Against Found') and wide.says('CPU 1')
    page.locator('input[value="item:cpu:CPU 1"]').check()
    page.get_by_role('button', name='Accept', exact=True).click()
    wide.settle()
    wide.check()
    assert wide.says('1 objects made')
    assert not wide.errors


def test_its_pages_fit_into_a_narrow_window(visitor, world, found):
    from tests.plugin.discovery.world import GUEST, discovered

    narrow = visitor(world.admin, NARROW)
    guest = discovered(GUEST)
    narrow.visit(f'{ROOT}/{guest.pk}/')
    narrow.visit(f'{ROOT}/{guest.pk}/adopt/')
    narrow.visit(f'{ROOT}/{guest.pk}/adopt/?way=device')
    narrow.visit(f'{ROOT}/{guest.pk}/adopt/?way=known')
    narrow.visit(f'{ROOT}/{guest.pk}/facts/')
    narrow.visit(f'{ROOT}/{found[1].pk}/facts/')
    page = narrow.page
    narrow.visit(f'{ROOT}/{guest.pk}/adopt/')
    page.get_by_role('button', name='Review').click()
    narrow.settle()
    narrow.check()
    assert narrow.says('Virtual machine machine-525400123401 (new)') or narrow.says('Choose a cluster, or a site.')


def test_who_may_only_view_is_offered_nothing_to_write(visitor, world, found):
    viewer = visitor(world.viewer, WIDE)
    viewer.visit(f'{ROOT}/{found[1].pk}/facts/')
    assert viewer.says('PowerEdge R650')
    assert not viewer.page.locator('input[name=accept]').count()
    assert not viewer.page.get_by_role('button', name='Accept').count()
    viewer.visit(f'{ROOT}/{found[1].pk}/adopt/', status=403)
