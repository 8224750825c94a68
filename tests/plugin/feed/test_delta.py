"""Every change that is committed to NetBox reaches the feed, however it was made, once and whole."""

import threading

import pytest
from django.db import connection, transaction
from netaddr import IPNetwork

from netbox_substruct.feed import changes, reader
from netbox_substruct.feed.cursor import Cursor, CursorError

from .world import Follower, a_world

pytestmark = pytest.mark.usefixtures('committed')


@pytest.fixture
def world():
    return a_world()


@pytest.fixture
def berlin(world):
    follower = Follower(world.berlin)
    follower.follow()
    return follower


def names(follower):
    return [machine.name for machine in follower.all('machine')]


def test_nothing_changed_is_told_as_nothing(berlin):
    assert berlin.follow() == []


class TestWaysToChange:
    def test_a_saved_object(self, world, berlin):
        world.devices[0].name = 'renamed'
        world.devices[0].save()
        assert berlin.follow() == [('machine', world.machine(0).pk)]
        assert names(berlin) == ['renamed', 'srv-2']

    def test_queryset_update(self, world, berlin):
        type(world.devices[0]).objects.filter(pk=world.devices[1].pk).update(name='updated')
        berlin.follow()
        assert names(berlin) == ['srv-1', 'updated']

    def test_bulk_create(self, world, berlin):
        from ipam.models import IPAddress

        IPAddress.objects.bulk_create(
            [
                IPAddress(
                    address=IPNetwork(f'10.1.0.{n}/24'),
                    assigned_object=world.interface(0),
                    dns_name='x.ber.example.com',
                )
                for n in (50, 51)
            ]
        )
        berlin.follow()
        addresses = berlin.all('machine')[0].interfaces[0].addresses
        assert [a.address for a in addresses] == ['10.1.0.11/24', '10.1.0.50/24', '10.1.0.51/24']
        assert len(berlin.all('record')) == 5
        assert berlin.agrees_with_a_snapshot()

    def test_bulk_update(self, world, berlin):
        for device in world.devices:
            device.serial = f'new-{device.pk}'
        type(world.devices[0]).objects.bulk_update(world.devices, ['serial'])
        berlin.follow()
        assert berlin.agrees_with_a_snapshot()

    def test_raw_sql(self, world, berlin):
        with connection.cursor() as cursor:
            cursor.execute('UPDATE dcim_device SET name = %s WHERE id = %s', ['raw', world.devices[0].pk])
        berlin.follow()
        assert names(berlin) == ['raw', 'srv-2']

    def test_a_deletion_with_all_that_hangs_on_it(self, world, berlin):
        machine = world.machine(0).pk
        world.devices[0].delete()
        assert ('machine', machine) in berlin.follow()
        assert names(berlin) == ['srv-2']
        assert berlin.agrees_with_a_snapshot()

    def test_queryset_delete(self, world, berlin):
        from ipam.models import IPAddress

        IPAddress.objects.all().delete()
        berlin.follow()
        assert berlin.all('record') == []
        assert berlin.agrees_with_a_snapshot()

    def test_the_stock_rest_api(self, world, berlin, client):
        from users.models import Token, User

        user = User.objects.create_superuser('api')
        token = Token(user=user)
        token.save()
        response = client.patch(
            f'/api/dcim/devices/{world.devices[0].pk}/',
            {'name': 'by-rest'},
            content_type='application/json',
            headers={'authorization': f'Bearer nbt_{token.key}.{token.token}'},
        )
        assert response.status_code == 200, response.content
        berlin.follow()
        assert names(berlin) == ['by-rest', 'srv-2']

    def test_forms_of_the_pages_single_and_in_bulk(self, world, berlin, client):
        from users.models import User

        client.force_login(User.objects.create_superuser('ui'))
        ids = [d.pk for d in world.devices]
        response = client.post('/dcim/devices/edit/', {'pk': ids, 'serial': '', '_nullify': ['serial'], '_apply': '1'})
        assert response.status_code == 302, response.content[:2000]
        berlin.follow()
        assert [m.serial for m in berlin.all('machine')] == [None, None]
        response = client.post('/dcim/devices/delete/', {'pk': ids[:1], 'confirm': '1', '_confirm': '1'})
        assert response.status_code == 302
        berlin.follow()
        assert names(berlin) == ['srv-2']
        assert berlin.agrees_with_a_snapshot()

    def test_a_change_that_the_feed_does_not_read_is_not_told(self, world, berlin):
        world.devices[0].comments = 'nothing to do with booting'
        world.devices[0].save()
        assert berlin.follow() == []


class TestWhatAChangeTouches:
    def test_a_mac_address_moved_to_another_machine_is_told_of_both(self, world, berlin):
        from dcim.models import MACAddress

        mac = MACAddress.objects.create(mac_address='00:00:5E:00:53:99', assigned_object=world.interface(0))
        berlin.follow()
        mac.assigned_object = world.interface(1)
        mac.save()
        assert set(berlin.follow()) == {('machine', world.machine(0).pk), ('machine', world.machine(1).pk)}
        assert berlin.agrees_with_a_snapshot()

    def test_an_inherited_value_is_told_for_the_subnets_below(self, world, berlin):
        subnet = world.whole.substruct_subnet
        subnet.domain = 'example.net'
        subnet.save()
        assert ('subnet', world.subnet.pk) in berlin.follow()
        assert {s.domain for s in berlin.all('subnet') if ':' not in s.prefix} == {'example.net'}
        from ipam.models import IPAddress

        IPAddress.objects.update(dns_name='')
        berlin.follow()
        assert {m.fqdn for m in berlin.all('machine')} == {'srv-1.example.net', 'srv-2.example.net'}
        subnet.domain = 'example.org'
        subnet.save()
        berlin.follow()
        assert {m.fqdn for m in berlin.all('machine')} == {'srv-1.example.org', 'srv-2.example.org'}
        assert berlin.agrees_with_a_snapshot()

    def test_a_vlan_renumbered_is_told_of_prefix_and_machines(self, world, berlin):
        from ipam.models import VLAN

        vlan = VLAN.objects.create(vid=10, name='ten')
        world.lan.vlan = vlan
        world.lan.save()
        interface = world.interface(0)
        interface.mode = 'tagged'
        interface.save()
        interface.tagged_vlans.add(vlan)
        berlin.follow()
        VLAN.objects.filter(pk=vlan.pk).update(vid=20)
        berlin.follow()
        assert berlin.state['subnet', world.subnet.pk].vlan == 20
        assert berlin.state['machine', world.machine(0).pk].interfaces[0].tagged_vlans == [20]
        assert berlin.agrees_with_a_snapshot()

    def test_a_lease_range_that_is_changed_or_deleted(self, world, berlin):
        from ipam.models import IPRange

        IPRange.objects.update(start_address='10.1.0.150/24')
        berlin.follow()
        assert berlin.state['subnet', world.subnet.pk].lease_range == ('10.1.0.150', '10.1.0.200')
        IPRange.objects.all().delete()
        berlin.follow()
        assert berlin.state['subnet', world.subnet.pk].lease_range is None
        assert berlin.agrees_with_a_snapshot()

    def test_a_zone_that_cuts_a_hole_in_another(self, world, berlin):
        from netbox_substruct.models import Zone

        hole = Zone.objects.create(name='srv-1.ber.example.com', boot_server=world.oslo)
        berlin.follow()
        first = next(r for r in berlin.all('record') if r.name == 'srv-1.ber.example.com')
        assert first.forward_zone is None and first.reverse_zone is not None
        hole.delete()
        berlin.follow()
        assert berlin.agrees_with_a_snapshot()
        world.zone.delete()
        berlin.follow()
        assert berlin.agrees_with_a_snapshot()

    def test_a_task_is_told_until_it_has_ended(self, world, berlin):
        from netbox_substruct.lifecycle import tasks
        from netbox_substruct.models import Task

        task = Task.objects.create(boot_server=world.berlin, kind='power', parameters={'action': 'on'})
        berlin.follow()
        assert [t.parameters for t in berlin.all('task')] == [{'action': 'on'}]
        tasks.claim(world.berlin)
        tasks.answer(task)
        berlin.follow()
        assert berlin.all('task') == []

    def test_boot_images(self, world, berlin):
        from netbox_substruct.models import BootImage

        image = BootImage.objects.create(name='d', kernel_url='http://x/k', initrds=[{'source': 'http://x/i'}])
        berlin.follow()
        assert [f.role for f in berlin.all('boot-image')[0].files] == ['kernel', 'initrd']
        image.delete()
        berlin.follow()
        assert berlin.all('boot-image') == []


class TestWhoServesIt:
    def test_a_machine_that_moves_is_gone_from_one_and_comes_to_the_other(self, world, berlin):
        oslo = Follower(world.oslo)
        oslo.follow()
        ip = world.interface(0).ip_addresses.get()
        ip.address = IPNetwork('10.2.0.77/24')
        ip.save()
        berlin.follow()
        oslo.follow()
        assert names(berlin) == ['srv-2'] and names(oslo) == ['srv-1', 'srv-3']
        assert berlin.agrees_with_a_snapshot() and oslo.agrees_with_a_snapshot()

    def test_a_discovered_machine_is_served_by_all_until_it_is_known_where_it_stands(self, world, berlin):
        from dcim.models import Device

        from netbox_substruct.models import Machine

        oslo = Follower(world.oslo)
        oslo.follow()
        machine = Machine.objects.create(discovered_name='found', serial='SN-1')
        for follower in (berlin, oslo):
            follower.follow()
            assert 'found' in names(follower)
            assert follower.agrees_with_a_snapshot()
        model = world.devices[0]
        machine.device = Device.objects.create(
            name='adopted', site=world.other_site, role=model.role, device_type=model.device_type
        )
        machine.save()
        world.oslo.sites.add(world.other_site)
        for follower in (berlin, oslo):
            follower.follow()
            assert follower.agrees_with_a_snapshot()
        assert 'adopted' in names(oslo) and not {'adopted', 'found'} & set(names(berlin))

    def test_a_subnet_handed_over_takes_its_machines_along(self, world, berlin):
        oslo = Follower(world.oslo)
        oslo.follow()
        world.subnet.boot_server = world.oslo
        world.subnet.save()
        berlin.follow()
        oslo.follow()
        assert names(berlin) == [] and names(oslo) == ['srv-1', 'srv-2', 'srv-3']
        assert berlin.agrees_with_a_snapshot() and oslo.agrees_with_a_snapshot()

    def test_a_prefix_taken_from_a_boot_server(self, world, berlin):
        world.berlin.prefixes.remove(world.lan)
        berlin.follow()
        assert names(berlin) == [] and [s.prefix for s in berlin.all('subnet')] == ['2001:db8:1::/64']
        assert berlin.agrees_with_a_snapshot()

    def test_a_site_given_to_a_boot_server(self, world, berlin):
        world.berlin.sites.add(world.other_site)
        berlin.follow()
        assert names(berlin) == ['srv-1', 'srv-2', 'srv-3']
        assert berlin.agrees_with_a_snapshot()

    def test_a_deleted_prefix_takes_subnet_and_machines_away(self, world, berlin):
        world.lan.delete()
        berlin.follow()
        assert names(berlin) == []
        assert berlin.agrees_with_a_snapshot()

    def test_a_machine_without_an_address_follows_its_site_unless_it_is_pinned(self, world, berlin):
        from ipam.models import IPAddress

        world.berlin.sites.add(world.site)
        IPAddress.objects.all().delete()
        berlin.follow()
        assert names(berlin) == ['srv-1', 'srv-2']
        machine = world.machine(0)
        machine.boot_server = world.oslo
        machine.save()
        berlin.follow()
        assert names(berlin) == ['srv-2']
        assert berlin.agrees_with_a_snapshot()


class TestTransactions:
    def test_one_that_commits_late_is_not_missed(self, world, berlin, elsewhere):
        """The first to write commits last; a reader that comes between them sees each exactly when it is committed."""
        written, go_on = threading.Event(), threading.Event()
        Device = type(world.devices[0])

        def slow():
            try:
                with transaction.atomic():
                    Device.objects.filter(pk=world.devices[0].pk).update(name='slow')
                    written.set()
                    assert go_on.wait(30)
            finally:
                connection.close()

        thread = threading.Thread(target=slow)
        thread.start()
        assert written.wait(30)
        elsewhere(lambda: Device.objects.filter(pk=world.devices[1].pk).update(name='quick'))
        assert berlin.follow() == [('machine', world.machine(1).pk)]
        assert names(berlin) == ['srv-1', 'quick']
        assert berlin.follow() == []
        go_on.set()
        thread.join(30)
        assert berlin.follow() == [('machine', world.machine(0).pk)]
        assert names(berlin) == ['slow', 'quick']
        assert berlin.follow() == []

    def test_one_is_never_torn_in_two(self, world, berlin, elsewhere):
        Device = type(world.devices[0])
        with transaction.atomic():
            Device.objects.filter(pk=world.devices[0].pk).update(name='half')
            assert elsewhere(berlin.follow) == []
            Device.objects.filter(pk=world.devices[1].pk).update(name='other half')
            assert elsewhere(berlin.follow) == []
        assert len(berlin.follow()) == 2
        assert names(berlin) == ['half', 'other half']

    def test_one_that_is_rolled_back_leaves_nothing(self, world, berlin):
        with pytest.raises(RuntimeError, match='no'), transaction.atomic():
            type(world.devices[0]).objects.update(serial='never')
            raise RuntimeError('no')
        assert berlin.follow() == []

    def test_a_reader_sees_one_moment_even_if_things_change_while_it_reads(self, world, elsewhere):
        lines = reader.read(world.berlin.pk)
        next(lines)
        elsewhere(lambda: type(world.devices[0]).objects.update(serial='changed meanwhile'))
        rest = b''.join(lines)
        assert b'changed meanwhile' not in rest and b'"SN2"' in rest

    def test_a_reader_inside_a_transaction_is_refused(self, world):
        with transaction.atomic(), pytest.raises(RuntimeError, match='transaction of its own'):
            next(reader.read(world.berlin.pk))


class TestCursorsThatCannotBeUsed:
    def expect(self, world, cursor, code):
        with pytest.raises(CursorError) as refused:
            list(reader.read(world.berlin.pk, cursor))
        assert refused.value.code == code

    @pytest.mark.parametrize('text', ['', 'x', '0123456789abcdef.1.2', '0123456789abcdef.5.3.', "'; DROP TABLE x; --"])
    def test_malformed(self, world, text):
        self.expect(world, text, 'malformed')

    def test_older_than_the_log(self, world, berlin):
        world.devices[0].name = 'lost'
        world.devices[0].save()
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE {changes.LOG} SET at = now() - interval '{changes.RETENTION}' - interval '1 hour'")
            cursor.execute(f"UPDATE {changes.STATE} SET maintained = now() - interval '2 hours'")
        self.expect(world, berlin.cursor, 'too-old')
        berlin.cursor = None
        berlin.follow()
        assert names(berlin) == ['lost', 'srv-2']

    def test_from_another_database(self, world, berlin):
        cursor = Cursor.parse(berlin.cursor)
        self.expect(world, str(Cursor('0' * 16, cursor.snapshot)), 'epoch')

    def test_from_the_future_of_this_one(self, world, berlin):
        cursor = Cursor.parse(berlin.cursor)
        self.expect(world, str(Cursor(cursor.epoch, f'{cursor.xmax + 500}:{cursor.xmax + 500}:')), 'epoch')

    def test_from_before_a_reset(self, world, berlin):
        with connection.cursor() as cursor:
            changes.reset(cursor)
        self.expect(world, berlin.cursor, 'epoch')

    def test_after_changes_that_nobody_logged(self, world, berlin):
        """The triggers fell asleep; what was changed meanwhile is told by a snapshot."""
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE {changes.STATE} SET maintained = now() - interval '15 days'")
            cursor.execute(f'SELECT max(id) FROM {changes.LOG}')
            logged = cursor.fetchone()[0]
        world.devices[0].name = 'while asleep'
        world.devices[0].save()
        with connection.cursor() as cursor:
            cursor.execute(f'SELECT count(*) FROM {changes.LOG} WHERE id > %s', [logged])
            assert cursor.fetchone()[0] == 0
        self.expect(world, berlin.cursor, 'epoch')
        berlin.cursor = None
        berlin.follow()
        assert names(berlin) == ['while asleep', 'srv-2']
        assert berlin.follow() == []

    def test_a_boot_server_that_has_gone(self, world):
        with pytest.raises(reader.NoBootServer, match='no boot server'):
            list(reader.read(4711))
