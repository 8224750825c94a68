"""The parts of the overview, as its page and the dashboard's widgets show them: each of what a user may see.

A part is the context of its template in `overview/`; None for users who may not view its model at all.
"""

from django.http import QueryDict
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from dcim.models import DeviceType, Site
from utilities.string import humanize_duration

from ..choices import BuildStateChoices, MachineStateChoices
from ..filtersets import BootServerFilterSet, BuildFilterSet, MachineFilterSet
from ..models import BootServer, Build, Machine
from ..overview import plots, reading
from .reports import ago, named

__all__ = (
    'BUILD_ICONS',
    'PERIODS',
    'boot_servers_part',
    'failures_part',
    'history_part',
    'now_part',
    'states_part',
)

PERIODS = (7, 30, 90)
FILTERSETS = {BootServer: BootServerFilterSet, Build: BuildFilterSet, Machine: MachineFilterSet}
# Icons beside the words of states: colour is never the only sign.
MACHINE_ICONS = {
    MachineStateChoices.STATE_DISCOVERED: 'radar',
    MachineStateChoices.STATE_REGISTERED: 'clipboard-check-outline',
    MachineStateChoices.STATE_BUILDING: 'progress-wrench',
    MachineStateChoices.STATE_BUILT: 'check-circle-outline',
    MachineStateChoices.STATE_FAILED: 'alert-circle-outline',
    MachineStateChoices.STATE_RETIRED: 'archive-outline',
}
BUILD_ICONS = {
    BuildStateChoices.STATE_PENDING: 'clock-outline',
    BuildStateChoices.STATE_BOOTING: 'power',
    BuildStateChoices.STATE_INSTALLING: 'progress-wrench',
    BuildStateChoices.STATE_FINISHING: 'flag-outline',
    BuildStateChoices.STATE_COMPLETE: 'check-circle-outline',
    BuildStateChoices.STATE_FAILED: 'alert-circle-outline',
    BuildStateChoices.STATE_CANCELLED: 'cancel',
    BuildStateChoices.STATE_STALLED: 'timer-sand-empty',
}
# What a boot server's health is called, its icon, its colour.
HEALTH = {
    reading.LOST: (_('Lost'), 'lan-disconnect', 'red'),
    reading.OUT_OF_STEP: (_('Out of step'), 'not-equal-variant', 'orange'),
    reading.SILENT: (_('Never heard of'), 'help-circle-outline', 'gray'),
    reading.IN_STEP: (_('In step'), 'check-circle-outline', 'green'),
    reading.NOT_ACTIVE: (_('Not active'), 'pause-circle-outline', 'gray'),
}


def seen(model, user, filters=None):
    """What a user may see of a model, as far as filters (a QueryDict) leave it; None where it may not be viewed."""
    if not user.has_perm(f'netbox_substruct.view_{model._meta.model_name}'):
        return None
    queryset = model.objects.restrict(user, 'view')
    if filters:
        found = FILTERSETS[model](filters, queryset).qs
        # A filter may join what makes rows come twice, and counts with them.
        queryset = queryset.filter(pk__in=found.order_by().values('pk'))
    return queryset


def listed(model, filters=None, **more):
    """The address of a model's list, with filters."""
    query = filters.copy() if filters else QueryDict(mutable=True)
    for name, values in more.items():
        query.setlist(name, values if isinstance(values, list | tuple) else [values])
    url = reverse(f'plugins:netbox_substruct:{model._meta.model_name}_list')
    return f'{url}?{query.urlencode()}' if query else url


def states_part(user, filters=None, states=None):
    """How many machines there are in each state, or in some."""
    machines = seen(Machine, user, filters)
    if machines is None:
        return None
    counts = reading.states(machines)
    colors, labels = MachineStateChoices.colors, dict(MachineStateChoices)
    return {
        'states': [
            {
                'state': state,
                'label': labels[state],
                'color': colors.get(state),
                'icon': MACHINE_ICONS[state],
                'count': count,
                'url': listed(Machine, filters, state=state),
            }
            for state, count in counts.items()
            if not states or state in states
        ],
        'total': sum(counts.values()),
        'add_url': reverse('plugins:netbox_substruct:machine_add')
        if user.has_perm('netbox_substruct.add_machine')
        else '',
    }


def _line(build):
    return {
        'build': build,
        'color': build.get_state_color(),
        'icon': BUILD_ICONS[build.state],
        'requested': ago(build.created),
        'duration': humanize_duration(build.duration) if build.duration is not None else '',
        'ended': ago(build.finished),
    }


def now_part(user, filters=None, limit=10, key='overview'):
    """The builds under way; it fetches itself anew.  `key` tells several on one page from each other."""
    builds = seen(Build, user, filters)
    if builds is None:
        return None
    found = reading.under_way(builds, limit)
    query = filters.copy() if filters else QueryDict(mutable=True)
    query['rows'], query['key'] = limit, key
    return {
        'rows': [_line(build) for build in found.rows],
        'total': found.total,
        'more': found.more,
        'key': key,
        'url': listed(Build, filters, active='true'),
        'live_url': f'{reverse("plugins:netbox_substruct:overview_now")}?{query.urlencode()}',
    }


def failures_part(user, filters=None, limit=10, days=30):
    """Builds that failed and that somebody should look at, with what the user may do about them."""
    builds = seen(Build, user, filters)
    if builds is None:
        return None
    found = reading.failures(builds, limit)
    machines = {build.machine_id for build in found.rows}

    def may(model, action, keys):
        """Those of the keys for which the user may do it; nobody asks the database for what is nobody's."""
        if not keys or not user.has_perm(f'netbox_substruct.{action}_{model._meta.model_name}'):
            return set()
        return set(model.objects.restrict(user, action).filter(pk__in=keys).values_list('pk', flat=True))

    build, change = may(Machine, 'build', machines), may(Machine, 'change', machines)
    stalled = {each.pk for each in found.rows if each.state == BuildStateChoices.STATE_STALLED}
    cancel = may(Build, 'cancel', stalled)
    rows = [
        {
            **_line(each),
            'retry': each.machine_id in build,
            'dismiss': each.pk not in stalled and each.machine_id in change,
            'cancel': each.pk in cancel,
        }
        for each in found.rows
    ]
    answered = reading.answered(builds, reading.begin(days))
    return {
        'rows': rows,
        'total': found.total,
        'more': found.more,
        'answered': ngettext(
            '{count} more of the last {days} days was looked after: its machine was built again, or it was set aside.',
            '{count} more of the last {days} days were looked after: built again, or set aside.',
            answered,
        ).format(count=answered, days=days)
        if answered
        else '',
        'url': listed(Build, filters, state=reading.FAILURES),
    }


def history_part(user, days, filters=None):
    """Builds per day, and how long they took by model and by site."""
    builds = seen(Build, user, filters)
    if builds is None:
        return None
    per_day = reading.per_day(builds, days)
    plot = plots.of_days(per_day)
    by_model = by_site = ()
    if any(day.complete for day in per_day):
        by_model = reading.durations_by_model(builds, DeviceType.objects.restrict(user, 'view'), days)
        by_site = reading.durations_by_site(builds, Site.objects.restrict(user, 'view'), days)
    return {
        'days': per_day,
        'period': days,
        'periods': PERIODS,
        'plot': plot,
        'bars': [(bar, per_day[bar.index]) for bar in plot.bars],
        'complete': sum(day.complete for day in per_day),
        'failed': sum(day.failed for day in per_day),
        'cancelled': sum(day.cancelled for day in per_day),
        'durations': [
            (title, heading, _spans(groups, none, name))
            for title, heading, groups, none, name in (
                (_('By Device Type'), _('Device type'), by_model, _('Virtual machines'), _model),
                (_('By Site'), _('Site'), by_site, _('No site'), str),
            )
            if groups
        ],
    }


def _model(device_type):
    return f'{device_type.manufacturer} {device_type.model}'


def _spans(groups, none, name):
    return [
        {
            'span': span,
            'name': name(span.durations.object) if span.durations.object is not None else none,
            'url': span.durations.object.get_absolute_url() if span.durations.object is not None else '',
            'p50': humanize_duration(span.durations.p50),
            'p90': humanize_duration(span.durations.p90),
        }
        for span in plots.of_durations(groups)
    ]


def boot_servers_part(user, filters=None, *, only_bad=False):
    """Boot servers with their health, the worst first."""
    found = seen(BootServer, user, filters)
    if found is None:
        return None
    servers = reading.boot_servers(found)
    shown = [each for each in servers if not only_bad or each.health in reading.HEALTH[:3]]
    rows = []
    for each in shown:
        label, icon, color = HEALTH[each.health]
        rows.append(
            {
                'server': each.boot_server,
                'health': each,
                'label': label,
                'icon': icon,
                'color': color,
                'heard': ago(each.boot_server.last_heartbeat),
                'since': ago(
                    {reading.LOST: each.boot_server.lost, reading.OUT_OF_STEP: each.boot_server.drifted}.get(
                        each.health
                    )
                ),
                'bad_services': ', '.join(str(named(name)) for name in each.bad_services),
            }
        )
    return {
        'rows': rows,
        'total': len(servers),
        'only_bad': only_bad,
        'add_url': reverse('plugins:netbox_substruct:bootserver_add')
        if user.has_perm('netbox_substruct.add_bootserver')
        else '',
    }
