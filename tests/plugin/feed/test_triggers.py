"""The triggers never get in NetBox's way: not without the plugin, not after an upgrade, not after it was removed."""

import pytest
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


def test_objects_can_be_deleted_while_the_plugin_is_not_loaded():
    """Django does not know of the plugin's tables then; the database lets go of what hangs on a deleted object."""
    from netbox_substruct.models import BMC, Build, Machine

    world = a_world()
    follower = Follower(world.berlin)
    follower.follow()
    machine = world.machine(0)
    BMC.objects.create(machine=machine, credential='x')
    Build.objects.create(machine=machine)
    with connection.cursor() as cursor:
        for statement in (
            'UPDATE dcim_device SET primary_ip4_id = NULL',
            'UPDATE dcim_interface SET primary_mac_address_id = NULL',
            f'DELETE FROM dcim_interface WHERE device_id = {world.devices[0].pk}',
            f'DELETE FROM dcim_device WHERE id = {world.devices[0].pk}',
            f'DELETE FROM ipam_prefix WHERE id = {world.lan.pk}',
            'DELETE FROM ipam_iprange',
        ):
            cursor.execute(statement)
    assert not Machine.objects.filter(pk=machine.pk).exists() and not BMC.objects.exists()
    follower.follow()
    assert follower.agrees_with_a_snapshot()
