"""What the seeder puts into NetBox is what NetBox itself would have put there: valid, with every cache filled."""

from unittest import mock

import pytest
from django.db import IntegrityError, connection, models, transaction
from django.db.models import Count, F, Max
from django.test import TestCase

from dcim.choices import CableEndChoices
from dcim.models import (
    CablePath,
    CableTermination,
    Device,
    DeviceType,
    Interface,
    Location,
    MACAddress,
    Site,
)
from extras.models import CachedValue, ConfigContext, ConfigTemplate
from ipam.models import IPAddress, IPRange, Prefix
from netbox.registry import registry
from netbox.search.backends import search_backend
from tenancy.models import Tenant
from virtualization.models import Cluster, VirtualMachine, VMInterface

from lab.errors import LabError
from lab.seeding import seed
from lab.seeding.bulk import Book
from lab.seeding.inventory import Inventory
from lab.seeding.plan import Plan
from lab.seeding.provisioning import Provisioning
from netbox_substruct.models import (
    BMC,
    BootServer,
    Build,
    BuildArtifact,
    BuildEvent,
    Machine,
    Profile,
    ProfileTemplate,
    Subnet,
    Zone,
)


def seeded_models():
    """Every model that the seeder writes rows of."""
    book = Book()
    Provisioning(Plan(1), book, Inventory(Plan(1), book))
    return [sheet.model for sheet in book.sheets]


def sample(queryset, size=20):
    """Some of the rows, spread evenly, the first and the last among them."""
    keys = list(queryset.order_by('pk').values_list('pk', flat=True))
    step = max(1, (len(keys) - 1) // (size - 1) if size > 1 else 1)
    return queryset.filter(pk__in=[*keys[::step], *keys[-1:]])


class ContentsOfADataCentre(TestCase):
    """1,000 machines: two sites, each with two rows of racks."""

    @classmethod
    def setUpTestData(cls):
        cls.summary = seed(1000, 7, under_way=False)

    def test_the_summary_counts_what_is_there(self):
        # Of config templates the plugin has its own, and the seeder only those that stand in for missing ones.
        for model in seeded_models():
            if model is ConfigTemplate:
                continue
            with self.subTest(model=model._meta.label):
                self.assertEqual(self.summary.rows[model._meta.object_name], model._default_manager.count())
        self.assertEqual(Machine.objects.count(), 1000)

    def test_objects_of_every_model_are_valid(self):
        for model in seeded_models():
            if model._meta.auto_created:
                continue
            for instance in sample(model._default_manager.all()):
                with self.subTest(model=model._meta.label, instance=str(instance)):
                    instance.full_clean()

    def test_every_model_has_rows(self):
        for model in seeded_models():
            with self.subTest(model=model._meta.label):
                self.assertTrue(model._default_manager.exists())

    def test_saving_again_changes_nothing_but_the_date(self):
        """What save() computes (natural names, lengths, scopes, sizes) is there already."""
        for model in seeded_models():
            if model._meta.auto_created or model is CablePath:
                continue
            # Saving a device or a config context makes NetBox render contexts again later.
            columns = [
                field.attname
                for field in model._meta.concrete_fields
                if not getattr(field, 'auto_now', False) and not field.name.startswith('_config_context')
            ]
            for instance in sample(model._default_manager.all(), 5):
                with self.subTest(model=model._meta.label, instance=str(instance)):
                    before = model._default_manager.filter(pk=instance.pk).values(*columns).get()
                    instance.save()
                    after = model._default_manager.filter(pk=instance.pk).values(*columns).get()
                    self.assertEqual(before, after)

    # ------------------------------------------------------------------ addresses

    def test_no_hardware_address_is_used_twice(self):
        doubled = MACAddress.objects.values('mac_address').annotate(n=Count('pk')).filter(n__gt=1)
        self.assertFalse(doubled.exists())

    def test_no_address_is_used_twice_in_a_vrf(self):
        doubled = IPAddress.objects.order_by().values('address', 'vrf').annotate(n=Count('pk')).filter(n__gt=1)
        self.assertFalse(doubled.exists())

    def test_every_address_is_in_an_active_prefix_of_its_size(self):
        with connection.cursor() as cursor:
            cursor.execute(
                'SELECT count(*) FROM ipam_ipaddress a WHERE NOT EXISTS (SELECT 1 FROM ipam_prefix p WHERE '
                "p.prefix = network(a.address) AND p.status = 'active' "
                'AND p.vrf_id IS NOT DISTINCT FROM a.vrf_id)'
            )
            self.assertEqual(cursor.fetchone(), (0,))

    def test_no_address_is_in_a_lease_range(self):
        for lease_range in IPRange.objects.all():
            inside = IPAddress.objects.filter(address__net_host_contained=str(lease_range.start_address.cidr), vrf=None)
            self.assertFalse(
                [ip for ip in inside if lease_range.start_address.ip <= ip.address.ip <= lease_range.end_address.ip]
            )

    def test_primary_and_out_of_band_addresses_belong_to_the_device(self):
        for name in ('primary_ip4', 'primary_ip6', 'oob_ip'):
            devices = Device.objects.filter(**{f'{name}__isnull': False})
            self.assertTrue(devices.exists())
            interfaces = Interface.objects.filter(device=models.OuterRef('pk')).values('pk')
            own = devices.filter(**{f'{name}__assigned_object_id__in': interfaces})
            self.assertEqual(own.count(), devices.count())
        for vm in VirtualMachine.objects.select_related('primary_ip4'):
            self.assertEqual(vm.primary_ip4.assigned_object.virtual_machine, vm)

    def test_the_out_of_band_address_is_on_the_management_controller(self):
        for device in sample(Device.objects.filter(oob_ip__isnull=False)):
            self.assertTrue(device.oob_ip.assigned_object.mgmt_only)
            self.assertEqual(device.oob_ip.vrf.name, 'out-of-band')

    def test_servers_have_dns_names_below_their_site(self):
        for device in sample(Device.objects.filter(role__parent__slug='server')):
            name = f'{device.name}.{device.site.slug}.example.com'
            self.assertEqual(device.primary_ip4.dns_name, name)
            self.assertTrue(device.name.startswith('srv-'))
            if device.primary_ip6:
                self.assertEqual(device.primary_ip6.dns_name, name)

    def test_primary_hardware_addresses_point_both_ways(self):
        for interfaces in (Interface.objects, VMInterface.objects):
            with_mac = interfaces.filter(primary_mac_address__isnull=False)
            for interface in sample(with_mac.select_related('primary_mac_address')):
                self.assertEqual(interface.primary_mac_address.assigned_object, interface)
        self.assertEqual(
            MACAddress.objects.count(),
            Interface.objects.filter(primary_mac_address__isnull=False).count() + VMInterface.objects.count(),
        )

    # ------------------------------------------------------------------ caches

    def test_depths_and_children_of_prefixes_are_as_netbox_counts_them(self):
        for prefix in Prefix.objects.annotate_hierarchy():
            with self.subTest(prefix=str(prefix), vrf=prefix.vrf):
                self.assertEqual((prefix._depth, prefix._children), (prefix.hierarchy_depth, prefix.hierarchy_children))

    def test_counters_are_right(self):
        for queryset, counter, related in (
            (Device.objects.all(), 'interface_count', 'interfaces'),
            (VirtualMachine.objects.all(), 'interface_count', 'interfaces'),
            (DeviceType.objects.all(), 'interface_template_count', 'interfacetemplates'),
            (DeviceType.objects.all(), 'device_count', 'instances'),
        ):
            with self.subTest(model=queryset.model._meta.label, counter=counter):
                wrong = queryset.annotate(counted=Count(related)).exclude(**{counter: F('counted')})
                self.assertFalse(wrong.exists())

    def test_components_know_the_place_of_their_device(self):
        wrong = Interface.objects.exclude(
            _site=F('device__site'), _location=F('device__location'), _rack=F('device__rack')
        )
        self.assertFalse(wrong.exists())
        wrong = CableTermination.objects.exclude(
            _site=F('_device__site'), _location=F('_device__location'), _rack=F('_device__rack')
        )
        self.assertFalse(wrong.exists())

    def test_scopes_are_cached(self):
        for model in (Prefix, Cluster):
            for instance in sample(model.objects.filter(scope_id__isnull=False)):
                kept = (instance._site_id, instance._location_id, instance._region_id)
                instance.cache_related_objects()
                self.assertEqual(kept, (instance._site_id, instance._location_id, instance._region_id))

    def test_trees_have_their_paths(self):
        row = Location.objects.get(slug='dc1-row-a')
        self.assertEqual([str(place) for place in row.get_ancestors(include_self=True)], ['Hall 1', 'Row A'])
        self.assertEqual(row.level, 1)

    def test_config_contexts_are_rendered_as_netbox_renders_them(self):
        for queryset in (Device.objects.all(), VirtualMachine.objects.all()):
            for role in queryset.order_by().values_list('role', flat=True).distinct():
                for instance in sample(queryset.filter(role=role), 3):
                    with self.subTest(instance=str(instance)):
                        self.assertEqual(instance._config_context_data, instance.render_config_context())
        self.assertEqual(ConfigContext.objects.filter(sites__isnull=False).count(), Site.objects.count())

    def test_global_search_finds_what_netbox_would_have_indexed(self):
        for model in seeded_models():
            indexer = registry['search'].get(model._meta.label_lower)
            if indexer is None:
                continue
            for instance in sample(model.objects.all(), 5):
                with self.subTest(model=model._meta.label, instance=str(instance)):
                    cached = CachedValue.objects.filter(
                        object_type__app_label=model._meta.app_label,
                        object_type__model=model._meta.model_name,
                        object_id=instance.pk,
                    ).values_list('field', 'type', 'weight', 'value')
                    self.assertCountEqual(cached, [tuple(value) for value in indexer.to_cache(instance)])
        found = {str(result.object) for result in search_backend.search('srv-00017')}
        self.assertTrue(any(name.startswith('srv-00017') for name in found))

    # ------------------------------------------------------------------ cables

    def test_cable_paths_are_as_netbox_traces_them(self):
        for interface in sample(Interface.objects.filter(cable__isnull=False), 60):
            with self.subTest(interface=f'{interface.device} {interface}'):
                traced = CablePath.from_origin([interface])
                self.assertEqual(interface._path.path, traced.path)
                self.assertEqual(interface._path._nodes, [node for step in traced.path for node in step])
                for name in ('is_active', 'is_complete', 'is_split'):
                    self.assertEqual(getattr(interface._path, name), getattr(traced, name))
                self.assertEqual(len(interface.connected_endpoints), 1)

    def test_both_ends_of_a_cable_know_it(self):
        for side in CableEndChoices.values():
            ends = CableTermination.objects.filter(cable_end=side)
            self.assertEqual(ends.count(), self.summary.rows['Cable'])
            wrong = ends.exclude(
                termination_id__in=Interface.objects.filter(
                    cable_id=models.OuterRef('cable_id'), cable_end=side, device=models.OuterRef('_device')
                ).values('pk')
            )
            self.assertFalse(wrong.exists())
        self.assertEqual(Interface.objects.filter(cable__isnull=False).count(), 2 * self.summary.rows['Cable'])
        self.assertEqual(Interface.objects.filter(_path__isnull=False).count(), self.summary.rows['CablePath'])

    def test_a_server_is_connected_to_the_switches_of_its_rack(self):
        for device in sample(Device.objects.filter(role__parent__slug='server')):
            for interface in device.interfaces.exclude(type='lag'):
                (other,) = interface.connected_endpoints
                self.assertEqual(other.device.rack, device.rack)
                self.assertEqual(other.device.role.slug, 'oob' if interface.mgmt_only else 'tor')

    # ------------------------------------------------------------------ Substruct

    def test_machines_come_in_all_states_but_building(self):
        states = set(Machine.objects.values_list('state', flat=True))
        self.assertEqual(states, {'discovered', 'registered', 'built', 'failed', 'retired'})

    def test_some_servers_wait_to_be_registered(self):
        waiting = Device.objects.filter(role__parent__slug='server', substruct_machine__isnull=True)
        self.assertEqual(waiting.count(), Plan(1000).unregistered_servers)

    def test_a_machine_boots_from_one_of_its_own_ports(self):
        for machine in sample(Machine.objects.filter(device__isnull=False), 50):
            macs = MACAddress.objects.filter(interface__device=machine.device, interface__mgmt_only=False)
            self.assertIn(machine.boot_mac, [mac.mac_address for mac in macs])

    def test_what_netbox_says_of_a_device_goes_with_the_state_of_its_machine(self):
        for state, statuses in (
            ('built', {'active'}), ('failed', {'failed'}), ('retired', {'decommissioning'}),
            ('registered', {'staged', 'planned'}),
        ):  # fmt: skip
            found = Device.objects.filter(substruct_machine__state=state).values_list('status', flat=True)
            self.assertEqual(set(found), statuses)

    def test_every_management_controller_has_an_address(self):
        for bmc in sample(BMC.objects.all()):
            self.assertEqual(bmc.effective_address, str(bmc.machine.device.oob_ip.address.ip))

    def test_every_leaf_prefix_has_a_subnet_and_inherits_from_its_site(self):
        servers = Prefix.objects.filter(status='active', vrf=None)
        self.assertEqual(servers.filter(substruct_subnet__isnull=True).count(), 0)
        for subnet in sample(Subnet.objects.filter(lease_range__isnull=False)):
            self.assertIn(subnet.gateway, subnet.prefix.prefix)
            above = Subnet.objects.filter(prefix__prefix__net_contains=str(subnet.prefix.prefix), prefix__vrf=None)
            self.assertTrue(above.filter(boot_server__isnull=False, dhcp_enabled=True).exists())
        self.assertEqual(Subnet.objects.filter(discovery_enabled=True).count(), BootServer.objects.count())

    def test_every_dns_name_is_in_a_zone_and_every_address_in_a_reverse_zone(self):
        zones = set(Zone.objects.values_list('name', flat=True))
        for address in sample(IPAddress.objects.all(), 200):
            labels = address.dns_name.split('.')
            self.assertTrue(any('.'.join(labels[n:]) in zones for n in range(len(labels))), address.dns_name)
            labels = address.address.ip.reverse_dns.rstrip('.').split('.')
            self.assertTrue(any('.'.join(labels[n:]) in zones for n in range(len(labels))), address)

    def test_failed_machines_have_the_build_that_failed(self):
        for machine in Machine.objects.filter(state='failed'):
            (build,) = machine.builds.all()
            self.assertEqual(build.state, 'failed')
            self.assertEqual(build.events.order_by('time').last().kind, 'failed')
            self.assertEqual(build.error, build.events.order_by('time').last().message)

    def test_ended_builds_have_a_timeline_in_order_and_artifacts_with_their_digest(self):
        for build in sample(Build.objects.all()):
            times = list(build.events.order_by('pk').values_list('time', flat=True))
            self.assertEqual(times, sorted(times))
            self.assertEqual((build.started, build.finished), (times[1], times[-1]))
            self.assertTrue(build.artifacts.exists())
        for artifact in sample(BuildArtifact.objects.all()):
            kept = artifact.sha256
            artifact.save()
            self.assertEqual(kept, artifact.sha256)
        self.assertTrue(BuildEvent.objects.exclude(log='').exists())

    def test_profiles_form_chains_and_their_boot_images_have_templates(self):
        node = Profile.objects.get(slug='kubernetes')
        self.assertEqual([profile.slug for profile in node.chain], ['kubernetes', 'debian-13', 'linux'])
        for profile in Profile.objects.exclude(slug='linux'):
            image = next(found.boot_image for found in profile.chain if found.boot_image)
            self.assertTrue(ProfileTemplate.objects.filter(boot_image=image, kind='ipxe').exists())

    # ------------------------------------------------------------------ afterwards

    def test_new_objects_get_the_keys_after_the_seeded_ones(self):
        last = Site.objects.aggregate(last=Max('pk'))['last']
        self.assertEqual(Site.objects.create(name='New', slug='new').pk, last + 1)

    def test_a_second_seeding_is_refused(self):
        with pytest.raises(LabError, match='NetBox holds 2 sites already'):
            seed(10)


class Sizes(TestCase):
    def test_one_machine_is_enough(self):
        seed(1, under_way=False)
        machine = Machine.objects.get()
        self.assertEqual(Device.objects.filter(role__parent__slug='server').get(), machine.device)
        machine.full_clean()
        machine.device.full_clean()

    def test_a_small_one_has_something_of_everything(self):
        seed(37, under_way=False)
        self.assertEqual(Machine.objects.count(), 37)
        for model in seeded_models():
            self.assertTrue(model._default_manager.exists(), model)

    def test_builds_are_under_way(self):
        summary = seed(100)
        self.assertEqual(summary.notes, [])
        under_way = Build.objects.filter(finished=None)
        self.assertEqual(
            sorted(under_way.values_list('state', flat=True)), ['booting', 'finishing', 'installing', 'pending']
        )
        for build in under_way:
            self.assertEqual(build.machine.state, 'building')
            self.assertTrue(build.artifacts.exists())

    def test_without_search_nothing_is_indexed(self):
        before = CachedValue.objects.count()
        seed(5, search=False, under_way=False)
        self.assertEqual(CachedValue.objects.count(), before)


class Determinism(TestCase):
    def digests(self, size, number):
        """A digest of each table after seeding; the sequences begin at one, so that keys are the same, too."""
        tables = {model._meta.db_table: model for model in seeded_models()}
        with connection.cursor() as cursor, transaction.atomic():
            for table, model in tables.items():
                if isinstance(model._meta.pk, models.AutoField):
                    start = (model._default_manager.aggregate(last=Max('pk'))['last'] or 0) + 1
                    cursor.execute('SELECT setval(pg_get_serial_sequence(%s, %s), %s, false)', [table, 'id', start])
            seed(size, number, under_way=False)
            found = {}
            for table in tables:
                cursor.execute(f"SELECT md5(string_agg(r::text, ' ' ORDER BY id)) FROM {table} AS r")
                found[table] = cursor.fetchone()[0]
            transaction.set_rollback(True)
        return found

    def test_the_same_seed_gives_the_same_rows_and_another_gives_others(self):
        first = self.digests(120, 3)
        self.assertEqual(first, self.digests(120, 3))
        other = self.digests(120, 4)
        for model in (Device, MACAddress, Machine, Interface):
            self.assertNotEqual(first[model._meta.db_table], other[model._meta.db_table])


class ForeignKeys(TestCase):
    """They are checked at the end and not row by row, which must not be seen from outside."""

    def test_all_checks_are_switched_on_again(self):
        seed(10, under_way=False)
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_trigger WHERE tgenabled = 'D'")
            self.assertEqual(cursor.fetchone(), (0,))
        with pytest.raises(IntegrityError), transaction.atomic():
            Interface.objects.filter(pk=Interface.objects.first().pk).update(device_id=10**9)
            connection.check_constraints()

    def test_a_row_that_names_one_that_is_not_there_is_an_error(self):
        book = Book()
        tenants = book.sheet(Tenant, 'name slug group_id')
        refused = pytest.raises(IntegrityError, match='1 rows of tenancy_tenant name a tenancy_tenantgroup')
        with refused, transaction.atomic():
            book.open()
            tenants.add('Nobody', 'nobody', 10**9)
            book.finish()

    def test_a_column_without_a_default_has_to_be_given(self):
        with pytest.raises(TypeError, match=r'tenancy\.Tenant\.slug has no default'):
            Book().sheet(Tenant, 'name')


class Failure(TestCase):
    def test_a_run_that_fails_leaves_nothing(self):
        with mock.patch.object(Provisioning, 'write', side_effect=RuntimeError('killed')), pytest.raises(RuntimeError):
            seed(37)
        self.assertFalse(Site.objects.exists())
        self.assertFalse(Device.objects.exists())
        self.assertFalse(IPAddress.objects.exists())

    def test_impossible_numbers_are_refused(self):
        for number in (0, 100_001):
            with pytest.raises(ValueError, match='it can be 1 to 100,000'):
                seed(number)
