"""What is planned in a branch.  Run by test_branching.py in a process of its own, whose NetBox has both plugins."""

import django

django.setup()

from django.core.management import call_command  # noqa: E402

call_command('migrate', verbosity=0, interactive=False)

from netbox_branching.models import Branch  # noqa: E402
from netbox_branching.utilities import activate_branch  # noqa: E402

from core.models import ObjectType  # noqa: E402
from dcim.models import Device  # noqa: E402
from extras.models import EventRule  # noqa: E402
from ipam.models import IPAddress  # noqa: E402
from users.models import User  # noqa: E402

from netbox_substruct.lifecycle import builds, events, machines  # noqa: E402
from netbox_substruct.lifecycle.errors import NotAllowed  # noqa: E402
from netbox_substruct.models import Build, Machine  # noqa: E402

from ..feed.world import Follower, a_world  # noqa: E402
from ..lifecycle.world import a_profile  # noqa: E402

world = a_world()
ada = User.objects.create_superuser('ada')
machine = Machine.objects.filter(device__isnull=False).order_by('pk').first()
machine.profile = a_profile()
machine.save()
device = machine.device
Device.objects.filter(pk=device.pk).update(status='planned')
follower = Follower(world.berlin)
follower.follow()
before = dict(follower.state)

branch = Branch(name='next week', owner=ada)
branch.save(provision=False)
branch.provision(user=ada)
branch.refresh_from_db()
assert branch.status == 'ready', branch.status

rule = EventRule.objects.create(
    name='Staged devices are built', event_types=['object_updated'], action_type='substruct.build'
)
rule.object_types.set([ObjectType.objects.get_for_model(Device)])
started = []
from netbox_substruct.automation.job import StartBuild  # noqa: E402

StartBuild.enqueue = classmethod(lambda cls, **kwargs: started.append(kwargs))

# A device is staged, an address and a machine's setting are changed, in the branch: no boot server hears of it, and no
# event rule builds.
with activate_branch(branch), events.tracked(ada):
    planned = Device.objects.get(pk=device.pk)
    planned.snapshot()
    planned.name, planned.status = 'renamed-in-a-branch', 'staged'
    planned.save()
    setting = Machine.objects.get(pk=machine.pk)
    setting.snapshot()
    setting.firmware = 'uefi' if machine.firmware != 'uefi' else 'bios'
    setting.save()
    address = IPAddress.objects.filter(assigned_object_id__isnull=False).first()
    address.snapshot()
    address.dns_name = 'planned.example.com'
    address.save()
assert Device.objects.get(pk=device.pk).name != 'renamed-in-a-branch'
follower.follow()
assert follower.state == before, 'what is planned in a branch is in the feed'
assert follower.agrees_with_a_snapshot()
assert started == []

# Machines and builds are not moved in a branch.
for move in (
    lambda: builds.request(machine, user=ada),
    lambda: machines.ask(machine, 'rescue', user=ada),
    lambda: machines.move(machine, 'retired', user=ada),
):
    with activate_branch(branch):
        try:
            move()
        except NotAllowed as error:
            assert 'next week' in str(error)
        else:
            raise AssertionError('a machine was moved in a branch')
assert not Build.objects.exists() and Machine.objects.get(pk=machine.pk).next_boot == ''

# Merged, it acts.
branch.merge(user=ada)
assert Device.objects.get(pk=device.pk).name == 'renamed-in-a-branch'
follower.follow()
assert follower.state != before
assert any('renamed-in-a-branch' in str(line) for line in follower.state.values())
assert follower.agrees_with_a_snapshot()
print(f'started by the merge: {len(started)}')
print('all is well')
