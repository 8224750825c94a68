"""The triggers never get in NetBox's way: not without the plugin, not after an upgrade, not after it was removed."""

import pytest
from django.core.management import call_command
from django.db import connection

from netbox_substruct.feed import changes

from .world import Follower, a_world

pytestmark = pytest.mark.usefixtures('committed')


def triggers():
    with connection.cursor() as cursor:
        cursor.execute('SELECT count(*) FROM pg_trigger WHERE starts_with(tgname, %s)', [changes.PREFIX])
        return cursor.fetchone()[0]


def test_every_tracked_table_has_its_three():
    assert triggers() == 3 * len(changes.TRACKED)


def test_every_tracked_column_exists():
    for tracked in changes.TRACKED:
        with connection.cursor() as cursor:
            cursor.execute('SELECT column_name FROM information_schema.columns WHERE table_name = %s', [tracked.table])
            assert set(tracked.columns) <= {row[0] for row in cursor.fetchall()}, tracked.table


def test_installing_again_changes_nothing_and_disturbs_no_reader():
    world = a_world()
    follower = Follower(world.berlin)
    follower.follow()
    with connection.cursor() as cursor:
        assert changes.install(cursor) is False
    assert follower.follow() == []


def test_a_column_that_has_gone_makes_readers_take_a_snapshot_and_breaks_nothing():
    from netbox_substruct.feed.cursor import CursorError

    world = a_world()
    follower = Follower(world.berlin)
    follower.follow()
    with connection.cursor() as cursor:
        cursor.execute('ALTER TABLE dcim_device RENAME COLUMN serial TO serial_number')
        cursor.execute("UPDATE dcim_device SET name = 'still works' WHERE id = %s", [world.devices[0].pk])
        cursor.execute('ALTER TABLE dcim_device RENAME COLUMN serial_number TO serial')
    with pytest.raises(CursorError) as refused:
        follower.follow()
    assert refused.value.code == 'unknown'


def test_a_log_that_has_gone_breaks_nothing():
    world = a_world()
    with connection.cursor() as cursor:
        cursor.execute(f'DROP TABLE {changes.LOG}')
    world.devices[0].name = 'still works'
    world.devices[0].save()


def test_removing_the_plugin_leaves_no_trigger_function_or_table():
    a_world()
    call_command('migrate', 'netbox_substruct', 'zero', verbosity=0)
    assert triggers() == 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_proc WHERE starts_with(proname, 'netbox_substruct')")
        assert cursor.fetchone()[0] == 0
        cursor.execute("SELECT count(*) FROM pg_class WHERE starts_with(relname, 'netbox_substruct')")
        assert cursor.fetchone()[0] == 0
    from dcim.models import Device

    Device.objects.update(name=None)
    call_command('migrate', 'netbox_substruct', verbosity=0)
    assert triggers() == 3 * len(changes.TRACKED)
