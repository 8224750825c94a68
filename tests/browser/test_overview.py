"""The overview and the dashboard's widgets in a browser: they fit, and move without losing the keyboard."""

from datetime import timedelta

import pytest

from .conftest import NARROW, WIDE

URL = '/plugins/substruct/overview/'


@pytest.fixture(scope='module')
def history(world):
    """Six weeks of builds, of every kind, at two sites and of two models."""
    from django.utils import timezone

    from dcim.models import Device, DeviceType, Site

    from netbox_substruct.models import Build, Machine

    first = world.registered
    other = Site.objects.create(name='Vienna', slug='vienna')
    large = DeviceType.objects.create(
        manufacturer=first.device_type.manufacturer, model='S2 with 24 disks', slug='s2-24'
    )
    machines = [
        Machine.objects.create(
            device=Device.objects.create(
                name=f'rack-{n}', site=site, device_type=model, role=first.role, status='planned'
            ),
            profile=world.profile,
            state='built',
        )
        for n, (site, model) in enumerate(((first.site, large), (other, large), (other, first.device_type)))
    ]
    now = timezone.now()
    rows = []
    for day in range(42):
        for n in range((day * 7) % 5 + (0 if day % 7 in (2, 3) else 3)):
            state = 'failed' if (day * n) % 11 == 5 else 'cancelled' if (day + n) % 23 == 0 else 'complete'
            machine = machines[(day + n) % 3]
            minutes = 9 + 6 * ((day + n) % 3) + (day * 13 + n * 29) % 17
            ended = now - timedelta(days=day, minutes=40 * n)
            rows.append(
                Build(
                    machine=machine, profile=world.profile, state=state, started=ended - timedelta(minutes=minutes),
                    finished=ended,
                )
            )  # fmt: skip
    Build.objects.bulk_create(rows)
    return machines


def test_it_shows_how_provisioning_is_as_a_whole(wide, world, history):
    wide.visit(URL)
    assert wide.says('No mirror could be reached') and wide.says('Builds per Day') and wide.says('S2 with 24 disks')
    assert wide.page.locator('svg rect').count() > 20
    wide.for_manual('overview')
    wide.page.get_by_role('link', name='7 days').click()
    wide.settle()
    wide.check()
    assert wide.page.get_by_role('link', name='7 days').get_attribute('aria-current') == 'true'


def test_it_fits_into_a_narrow_window(visitor, world, history):
    narrow = visitor(world.admin, NARROW)
    narrow.visit(URL)
    narrow.page.get_by_text('As a table').click()
    narrow.check()


def test_builds_move_without_reloading_and_keep_the_keyboards_place(wide, world, history):
    from netbox_substruct.lifecycle import builds

    build = world.of_model['build']
    wide.visit(URL)
    link = wide.page.locator(f'#now-overview-{build.pk}')
    link.focus()
    builds.record(build, 'progress', progress=81)
    wide.page.locator('#now-overview [aria-valuenow="81"]').wait_for(timeout=90_000)
    assert wide.page.evaluate('document.activeElement.id') == f'now-overview-{build.pk}'


def test_a_failure_is_set_aside(wide, world, history):
    from netbox_substruct.lifecycle import builds
    from netbox_substruct.models import Machine

    machine = Machine.objects.get(pk=history[0].pk)
    build = builds.request(machine)
    builds.record(build, 'config-fetched')
    builds.record(build, 'failed', message='The disk went away')
    wide.visit(URL)
    wide.page.get_by_role('link', name=f'Set aside: {build}').click()
    wide.settle()
    wide.check()
    assert wide.says('The build stays in the history')
    wide.page.get_by_role('button', name='Set aside').click()
    wide.settle()
    assert wide.page.url.endswith(URL)
    assert not wide.page.locator('.list-group-item', has_text='The disk went away').count()


def test_its_parts_are_put_on_the_dashboard(visitor, world, history):
    from extras.dashboard.utils import get_widget_class
    from extras.models import Dashboard

    Dashboard.objects.filter(user=world.admin).delete()  # NetBox makes one at the first visit
    dashboard = Dashboard(user=world.admin)
    for name, config in (
        ('MachineStatesWidget', {}), ('BuildsNowWidget', {'rows': 5}), ('FailuresWidget', {}),
        ('BootServersWidget', {'only_bad': True}),
    ):  # fmt: skip
        dashboard.add_widget(get_widget_class(f'netbox_substruct.{name}')(config=config))
    dashboard.save()
    page = visitor(world.admin, WIDE)
    page.visit('/')
    assert page.says('Machines by State') and page.says('No mirror could be reached') and page.says('Never heard of')
    page.for_manual('overview-dashboard')
    page.page.get_by_label('Machines by State widget configuration').click()
    page.page.get_by_text('If none: all.').wait_for()
    page.settle()
    assert page.says('{"site_id": [1, 2]}')
