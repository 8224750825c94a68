"""How a device or virtual machine is provisioned, as its own page and its Provisioning tab show it."""

from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext_lazy as _

from netbox.ui import panels
from utilities.permissions import get_permission_for_model
from utilities.string import humanize_duration

from .. import advice, power
from ..choices import PowerActionChoices, TaskKindChoices
from ..discovery import adoption, difference, keeping
from ..models import BMC, Build, BuildArtifact, Machine, Task
from .live import ICONS, build_live

__all__ = (
    'ArtifactsServedPanel',
    'BuildHistoryPanel',
    'CurrentBuildPanel',
    'DifferencePanel',
    'NextStepPanel',
    'PowerPanel',
    'machine_of',
    'next_step',
    'visible_machine',
)

# Builds that the history shows; the machine's tab of builds has all.
HISTORY = 10
POWER_TASKS = 5
ACTION_ICONS = {
    'register': 'server-plus', 'adopt': 'server-plus', 'choose-profile': 'file-cog-outline', 'build': 'hammer-wrench',
    'watch': 'eye-outline', 'read': 'text-box-search-outline', 'take-back': 'check',
}  # fmt: skip


def machine_of(obj):
    """The Machine that a Device or VirtualMachine is, or None."""
    field = 'device' if obj._meta.model_name == 'device' else 'virtual_machine'
    return Machine.objects.select_related('profile', 'boot_server').filter(**{field: obj}).first()


def visible_machine(obj, user):
    """Whether the user may know how an object is provisioned, and its machine (None if it is none)."""
    if not user.has_perm('netbox_substruct.view_machine'):
        return False, None
    machine = machine_of(obj)
    return machine is None or user.has_perm('netbox_substruct.view_machine', machine), machine


def newest_build(machine):
    return Build.objects.filter(machine=machine).defer('request').order_by('-pk').first()


def _may(user, obj, machine, build):
    found = set()
    if machine is None:
        if user.has_perm('netbox_substruct.add_machine'):
            found.add('register')
    else:
        for name in ('change', 'build'):
            if user.has_perm(f'netbox_substruct.{name}_machine', machine):
                found.add(name)
        if adoption.offered(machine, user):
            found.add('adopt')
        if build is not None and user.has_perm('netbox_substruct.view_build', build):
            found.add('view-build')
    return frozenset(found)


def next_step(obj, machine, user, page=None):
    """What comes next about an object of NetBox (None for a machine that is none), with the page that does it.

    `page` is the object to whose page one comes back; if None, `obj`.
    """
    build = newest_build(machine) if machine is not None else None
    situation = advice.Situation(may=_may(user, obj, machine, build))
    if machine is not None:
        situation = advice.Situation(
            state=machine.state,
            has_profile=machine.profile_id is not None,
            next_boot=machine.next_boot,
            build_id=build.pk if build else None,
            build_state=build.state if build else None,
            error=build.error if build else '',
            may=situation.may,
        )
    step = advice.next_step(situation)
    return {
        'step': step,
        'step_url': _url(step.action, obj, machine, build, page or obj),
        'step_icon': ACTION_ICONS.get(step.action, ''),
    }


def _url(action, obj, machine, build, page):
    if action in ('watch', 'read'):
        return build.get_absolute_url()
    back = f'?return_url={page.get_absolute_url()}' if page is not None else ''
    if action == 'register':
        try:
            name = f'{obj._meta.app_label}:{obj._meta.model_name}_substruct_register'
            return reverse(name, kwargs={'pk': obj.pk}) + back
        except NoReverseMatch:
            return ''
    names = {'adopt': 'adopt', 'choose-profile': 'edit', 'build': 'build', 'take-back': 'register'}
    if action not in names:
        return ''
    # After a build was requested one wants to see it, not where one came from.
    back = '' if action == 'build' else back
    return reverse(f'plugins:netbox_substruct:machine_{names[action]}', args=[machine.pk]) + back


class NextStepPanel(panels.ObjectPanel):
    """State, profile, and what comes next; `brief`: only that, where the rest stands beside it."""

    template_name = 'netbox_substruct/panels/next_step.html'
    title = _('Provisioning')

    def __init__(self, *, brief=False, **kwargs):
        super().__init__(**kwargs)
        self.brief = brief

    def get_context(self, context):
        ctx = super().get_context(context)
        machine = ctx['object']
        page = machine if self.brief else machine.object
        return {
            **ctx,
            'machine': machine,
            'brief': self.brief,
            **next_step(machine.object, machine, ctx['request'].user, page),
        }


class CurrentBuildPanel(panels.ObjectPanel):
    """The newest build of a machine, watched."""

    template_name = 'netbox_substruct/inc/build_live.html'

    def __init__(self, buttons, **kwargs):
        super().__init__(**kwargs)
        self.buttons = buttons

    def get_context(self, context):
        ctx = super().get_context(context)
        build, user = newest_build(ctx['object']), ctx['request'].user
        if build is None or not user.has_perm('netbox_substruct.view_build', build):
            return {**ctx, 'object': None}
        return {**ctx, **build_live(build, user, self.buttons, title=True)}

    def should_render(self, context):
        return context['object'] is not None


class BuildHistoryPanel(panels.ObjectPanel):
    """The last builds of a machine, and how long they took."""

    template_name = 'netbox_substruct/panels/build_history.html'
    title = _('History')

    def get_context(self, context):
        ctx = super().get_context(context)
        machine, user = ctx['object'], ctx['request'].user
        builds = list(
            Build.objects.restrict(user, 'view')
            .filter(machine=machine)
            .defer('request')
            .select_related('profile', 'requested_by')
            .order_by('-pk')[: HISTORY + 1]
        )
        return {
            **ctx,
            'builds': [
                (build, ICONS[build.state], humanize_duration(build.duration) if build.duration else '')
                for build in builds[:HISTORY]
            ],
            'more_url': reverse('plugins:netbox_substruct:machine_builds', args=[machine.pk])
            if len(builds) > HISTORY
            else '',
        }

    def should_render(self, context):
        return context['request'].user.has_perm('netbox_substruct.view_build')


class ArtifactsServedPanel(panels.ObjectPanel):
    """What a build serves, or served; of a machine, what its newest build does."""

    template_name = 'netbox_substruct/panels/artifacts.html'
    title = _('Artifacts as Served')

    def get_context(self, context):
        ctx = super().get_context(context)
        obj, user = ctx['object'], ctx['request'].user
        build = newest_build(obj) if isinstance(obj, Machine) else obj
        visible = BuildArtifact.objects.restrict(user, 'view').filter(build=build) if build else None
        return {**ctx, 'build': build, 'artifacts': list(visible.order_by('kind')) if build else []}

    def should_render(self, context):
        return context['request'].user.has_perm('netbox_substruct.view_buildartifact')


class DifferencePanel(panels.ObjectPanel):
    """What the machine found out about itself, against what NetBox intends."""

    template_name = 'netbox_substruct/panels/difference.html'
    title = _('Intended Against Found')

    def __init__(self, sections, **kwargs):
        """`sections` makes what is shown of lines (`views.lines.sections`)."""
        super().__init__(**kwargs)
        self.sections = sections

    def get_context(self, context):
        ctx = super().get_context(context)
        machine, user = ctx['object'], ctx['request'].user
        facts_set, _reading = keeping.current(machine)
        if facts_set is not None and not user.has_perm('netbox_substruct.view_factset', facts_set):
            return {**ctx, 'hidden': True}
        obj = machine.object
        hidden = obj is not None and not user.has_perm(get_permission_for_model(obj, 'view'), obj)
        found = None if hidden or facts_set is None else difference.difference(machine, user=user)
        return {
            **ctx,
            'hidden': hidden,
            'machine': machine,
            'facts_set': facts_set,
            'lines': len(found.lines) if found else 0,
            'sections': self.sections(found.lines, user, accepted=()) if found else [],
        }

    def should_render(self, context):
        return not context['hidden'] and context['request'].user.has_perm('netbox_substruct.view_factset')


class PowerPanel(panels.ObjectPanel):
    """By what the machine is switched, what was asked of that lately, and asking where something could act."""

    template_name = 'netbox_substruct/panels/power.html'
    title = _('Power')

    def get_context(self, context):
        ctx = super().get_context(context)
        machine, user = ctx['object'], ctx['request'].user
        tasks = []
        if user.has_perm('netbox_substruct.view_task'):
            visible = Task.objects.restrict(user, 'view').filter(machine=machine, kind=TaskKindChoices.KIND_POWER)
            tasks = list(visible.order_by('-pk')[:POWER_TASKS])
        actions = dict(PowerActionChoices)
        rows = [(task, actions.get(task.parameters.get('action'), '')) for task in tasks]
        if not user.has_perm('netbox_substruct.view_bmc'):
            return {**ctx, 'sees_bmc': False, 'rows': rows}
        bmc = BMC.objects.restrict(user, 'view').filter(machine=machine).first()
        if bmc is not None:
            bmc.machine = machine  # as it was read for this page
        why = power.by_hand(machine, bmc, power.switchers(machine) if bmc is not None else [])
        offered = not why and user.has_perm('netbox_substruct.add_task')
        return {
            **ctx,
            'sees_bmc': True,
            'bmc': bmc,
            'why': why,
            'switch_url': reverse('plugins:netbox_substruct:machine_power', args=[machine.pk]) if offered else '',
            'addable': bmc is None and not machine.virtual_machine_id,
            'rows': rows,
        }

    def should_render(self, context):
        return context['sees_bmc'] or bool(context['rows'])
