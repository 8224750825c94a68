"""Waves of machines that can be built, for tests."""

from core.models import ObjectType
from users.models import ObjectPermission, User

from netbox_substruct.lifecycle import builds, machines
from netbox_substruct.models import Build, Machine, Profile, Wave
from netbox_substruct.waves import moves

from ..lifecycle.world import a_device, a_profile

OPERATOR = ('view', 'add', 'change', 'delete')


def an_operator(name='operator', **constraints):
    """May do everything with waves, and build the machines that the constraints allow."""
    user = User.objects.create_user(name)
    permit(user, ('wave', 'wavemember'), OPERATOR)
    permit(user, ('machine',), ('view', 'build'), **constraints)
    permit(user, ('build',), ('view', 'cancel'))
    return user


def permit(user, models, actions, **constraints):
    permission = ObjectPermission.objects.create(
        name=f'{user} {models} {actions}', actions=list(actions), constraints=constraints or None
    )
    permission.users.add(user)
    permission.object_types.set(ObjectType.objects.get(app_label='netbox_substruct', model=model) for model in models)
    return permission


def some_machines(count, status='planned'):
    profile = Profile.objects.filter(name='Debian').first() or a_profile()
    first = Machine.objects.count()
    return [
        machines.register(a_device(f'srv-{number:02}', status), profile=profile)
        for number in range(first + 1, first + count + 1)
    ]


def a_wave(members, user=None, overrides=None, **fields):
    """A planned wave of these machines, or of so many."""
    if isinstance(members, int):
        members = some_machines(members)
    wave = Wave.objects.create(name=fields.pop('name', f'wave-{Wave.objects.count() + 1}'), **fields)
    moves.add(wave, members, overrides=overrides, user=user)
    return wave


def states(wave):
    """How its members stand, in a word: w(aiting) b(uilding) d(one) f(ailed) c(ancelled) l(eft out)."""
    return ''.join(state[0] for state in wave.members.order_by('order', 'pk').values_list('state', flat=True))


def end(wave, *kinds):
    """The builds of a wave that are under way end, in the order of its members, one for each kind of event."""
    under_way = wave.members.filter(state='building').order_by('order', 'pk')
    for member, kind in zip(under_way, kinds, strict=False):
        build = Build.objects.get(pk=member.build_id)
        builds.cancel(build) if kind == 'cancelled' else builds.record(build, kind, message=f'it has {kind}')
