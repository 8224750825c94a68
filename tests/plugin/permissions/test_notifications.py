"""NetBox's notifications: who may not view a machine is not told its name by one, however it came about."""

from django.test import TestCase

from core.models import ObjectType
from extras.models import EventRule, Notification, NotificationGroup, Subscription
from users.models import ObjectPermission

from netbox_substruct import roles
from netbox_substruct.lifecycle import builds, events
from netbox_substruct.models import Build, Machine

from .world import OTHER, a_user_in, a_world


class Notifications(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.world = a_world()
        site = cls.world.own.site
        cls.operator = a_user_in('operator', roles.group(roles.BY_NAME['operator'], [(site.slug, site.name)]))
        cls.everywhere = a_user_in('everywhere', roles.group(roles.BY_NAME['operator'], []))

    def setUp(self):
        self.client.force_login(self.operator)
        self.own, self.other = (Machine.objects.get(pk=place.machines[0].pk) for place in
                                (self.world.own, self.world.other))  # fmt: skip

    def told(self):
        """Who was notified of what, by name."""
        return set(Notification.objects.values_list('user__username', 'object_repr'))

    def subscribe(self, obj):
        for user in (self.operator, self.everywhere):
            Subscription.objects.create(user=user, object=obj)

    def pages_of_the_operator(self):
        return ''.join(
            self.client.get(path).content.decode() for path in ('/extras/notifications/', '/user/notifications/')
        )

    def test_subscribers_are_told_of_what_they_may_view(self):
        for machine in (self.own, self.other):
            self.subscribe(machine)
            machine.description = 'changed'
            machine.save()
        self.assertEqual(
            self.told(),
            {('operator', str(self.own)), ('everywhere', str(self.own)), ('everywhere', str(self.other))},
        )
        self.assertNotIn(OTHER, self.pages_of_the_operator())
        self.assertIn(str(self.own), self.pages_of_the_operator())

    def test_so_they_are_of_builds_and_of_what_is_deleted(self):
        build = Build.objects.filter(machine=self.other, state='pending').get()
        self.subscribe(build)
        builds.cancel(build)
        self.assertEqual(self.told(), {('everywhere', str(build))})
        Notification.objects.all().delete()
        name = str(build)
        Build.objects.get(pk=build.pk).delete()
        self.assertEqual(self.told(), {('everywhere', name)})

    def test_a_permission_that_was_taken_back_counts_from_the_next_event_on(self):
        self.subscribe(self.own)
        ObjectPermission.objects.filter(groups__user=self.operator).delete()
        machine = Machine.objects.get(pk=self.own.pk)
        machine.save()
        self.assertEqual(self.told(), {('everywhere', str(machine))})

    def test_an_event_rule_notifies_those_members_of_a_group_who_may_view_the_machine(self):
        group = NotificationGroup.objects.create(name='all of us')
        group.users.set([self.operator, self.everywhere])
        rule = EventRule.objects.create(
            name='tell us', event_types=[events.BUILD_CANCELLED],
            action_type='notification', action_object=group,
        )  # fmt: skip
        rule.object_types.add(ObjectType.objects.get_for_model(Build))
        for machine in (self.own, self.other):
            with self.captureOnCommitCallbacks(execute=True):
                builds.cancel(Build.objects.get(machine=machine, state='pending'))
        own, other = (str(Build.objects.get(machine=machine, state='cancelled')) for machine in (self.own, self.other))
        self.assertEqual(self.told(), {('operator', own), ('everywhere', own), ('everywhere', other)})

    def test_what_is_told_of_a_device_by_our_events_is_kept_to_who_may_view_it_too(self):
        for device in (self.own.device, self.other.device):
            for user in (self.operator, self.everywhere):
                Notification.objects.create(user=user, object=device, event_type=events.BUILD_REFUSED)
        self.assertEqual({name for user, name in self.told() if user == 'operator'}, {str(self.own.device)})
