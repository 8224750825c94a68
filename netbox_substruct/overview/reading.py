"""What the overview shows, read by aggregates of the database: the number of queries never grows with the rows.

Each function takes the querysets of what may be seen, so that nobody forgets to restrict them.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Aggregate, Count, DurationField, Exists, ExpressionWrapper, F, OuterRef, Q
from django.db.models.functions import Coalesce, TruncDate
from django.utils import timezone

from ..choices import BootServerStatusChoices, BuildStateChoices, MachineStateChoices
from ..lifecycle.machines import OVERTAKEN
from ..lifecycle.states import BUILD_ACTIVE

FAILURES = (BuildStateChoices.STATE_FAILED, BuildStateChoices.STATE_STALLED)
# Groups of a plot of durations; the rest is in the list of builds.
GROUPS = 10


class Percentile(Aggregate):
    """PostgreSQL's PERCENTILE_CONT of intervals."""

    function = 'PERCENTILE_CONT'
    template = '%(function)s(%(fraction)s) WITHIN GROUP (ORDER BY %(expressions)s)'

    def __init__(self, expression: Any, fraction: float, **extra: Any) -> None:
        super().__init__(expression, fraction=float(fraction), output_field=DurationField(), **extra)


# ---------------------------------------------------------------------- machines


def states(machines: Any) -> dict[str, int]:
    """How many machines there are in each state, every state named."""
    found = dict(machines.order_by().values_list('state').annotate(number=Count('pk')))
    return {state: found.get(state, 0) for state in MachineStateChoices.values()}


# ---------------------------------------------------------------------- builds


@dataclass(frozen=True, slots=True)
class Rows:
    """The first rows of something, and how many there are altogether."""

    rows: list[Any]
    total: int

    @property
    def more(self) -> int:
        return self.total - len(self.rows)


def _first(queryset: Any, limit: int) -> Rows:
    """At most so many rows; who sees them all needs no second query to count them."""
    rows = list(queryset[: limit + 1])
    return Rows(rows[:limit], queryset.count() if len(rows) > limit else len(rows))


def _shown(builds: Any) -> Any:
    # What was asked is large, and not shown.
    related = builds.select_related('machine__device', 'machine__virtual_machine')
    return related.defer('request', 'machine__parameters')


def under_way(builds: Any, limit: int) -> Rows:
    """Builds that are pending or under way, the longest first."""
    return _first(_shown(builds.filter(state__in=BUILD_ACTIVE)).order_by('pk'), limit)


def failures(builds: Any, limit: int) -> Rows:
    """Builds that failed or stalled, and that nobody has looked after; the newest first.

    A newer build of the machine answers one, whoever may see it.  One that failed is also set aside by taking its
    machine to another state, and a stalled one by deciding something else about the machine.
    """
    return _first(_shown(_open_failures(builds)).order_by('-pk'), limit)


def _open_failures(builds: Any) -> Any:
    from ..models import Build, BuildEvent

    newer = Build.objects.filter(machine=OuterRef('machine'), pk__gt=OuterRef('pk'))
    overtaken = BuildEvent.objects.filter(build=OuterRef('pk'), key__startswith=OVERTAKEN)
    failed = Q(state=BuildStateChoices.STATE_FAILED, machine__state=MachineStateChoices.STATE_FAILED)
    retired = Q(machine__state=MachineStateChoices.STATE_RETIRED)
    stalled = Q(state=BuildStateChoices.STATE_STALLED) & ~retired & ~Exists(overtaken)
    return builds.filter(failed | stalled).filter(~Exists(newer))


def answered(builds: Any, since: datetime) -> int:
    """How many builds failed or stalled since then, and need no looking after any more."""
    ended = builds.filter(state__in=FAILURES, finished__gte=since)
    return int(ended.exclude(pk__in=_open_failures(ended).values('pk')).count())


@dataclass(frozen=True, slots=True)
class Day:
    day: date
    complete: int = 0
    failed: int = 0
    cancelled: int = 0


def per_day(builds: Any, days: int) -> list[Day]:
    """How builds ended, by day of the user's time zone: so many days up to today, none left out."""
    today = timezone.localdate()
    first = today - timedelta(days=days - 1)
    found: dict[date, dict[str, int]] = {}
    ended = builds.order_by().filter(finished__gte=begin(days)).annotate(day=TruncDate('finished'))
    for day, state, number in ended.values_list('day', 'state').annotate(number=Count('pk')):
        found.setdefault(day, {})[state] = number
    rows = []
    for day in (first + timedelta(days=n) for n in range(days)):
        of = found.get(day, {})
        rows.append(
            Day(
                day,
                complete=of.get(BuildStateChoices.STATE_COMPLETE, 0),
                failed=sum(of.get(state, 0) for state in FAILURES),
                cancelled=of.get(BuildStateChoices.STATE_CANCELLED, 0),
            )
        )
    return rows


def begin(days: int) -> datetime:
    """The beginning of the first of so many days up to today."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=days - 1)


@dataclass(frozen=True, slots=True)
class Durations:
    """How long complete builds of a group took: half of them at most p50, nine of ten at most p90.

    `object` is what they have in common: a DeviceType or Site; None for those that have none.
    """

    object: Any
    builds: int
    p50: timedelta
    p90: timedelta


def durations_by_model(builds: Any, device_types: Any, days: int) -> list[Durations]:
    """By device type; virtual machines have none, and are one group."""
    return _durations(builds, F('machine__device__device_type'), device_types.select_related('manufacturer'), days)


def durations_by_site(builds: Any, sites: Any, days: int) -> list[Durations]:
    site = Coalesce('machine__device__site', 'machine__virtual_machine__site')
    return _durations(builds, site, sites, days)


def _durations(builds: Any, group: Any, objects: Any, days: int) -> list[Durations]:
    """The groups with most builds; not those of objects that may not be seen."""
    took = ExpressionWrapper(F('finished') - F('started'), output_field=DurationField())
    complete = builds.order_by().filter(
        state=BuildStateChoices.STATE_COMPLETE, finished__gte=begin(days), started__isnull=False
    )
    groups = (
        complete.annotate(group=group)
        .filter(Q(group=None) | Q(group__in=objects.order_by().values('pk')))
        .values('group')
        .annotate(number=Count('pk'), p50=Percentile(took, 0.5), p90=Percentile(took, 0.9))
        .order_by('-number', 'group')[:GROUPS]
    )
    rows = list(groups)
    named = objects.in_bulk([row['group'] for row in rows if row['group'] is not None])
    return [Durations(named.get(row['group']), row['number'], row['p50'], row['p90']) for row in rows]


# ---------------------------------------------------------------------- boot servers

LOST, OUT_OF_STEP, SILENT, IN_STEP, NOT_ACTIVE = 'lost', 'out-of-step', 'silent', 'in-step', 'not-active'
# The worst first.
HEALTH = (LOST, OUT_OF_STEP, SILENT, IN_STEP, NOT_ACTIVE)


@dataclass(frozen=True, slots=True)
class Health:
    """How a boot server is.  `errors` and `warnings` count its problems, `pending` what its services are to change."""

    boot_server: Any
    health: str
    errors: int
    warnings: int
    pending: int
    bad_services: tuple[str, ...]


def boot_servers(queryset: Any) -> list[Health]:
    """All boot servers of a queryset, the worst first."""
    found = [_health(boot_server) for boot_server in queryset.order_by('name')]
    return sorted(found, key=lambda each: HEALTH.index(each.health))


def _health(boot_server: Any) -> Health:
    in_step = boot_server.in_step
    if boot_server.status != BootServerStatusChoices.STATUS_ACTIVE:
        health = NOT_ACTIVE
    elif boot_server.last_heartbeat is None:
        health = SILENT
    elif boot_server.is_late:
        health = LOST
    else:
        health = IN_STEP if in_step else OUT_OF_STEP
    severities = [problem.get('severity', 'error') for problem in boot_server.out_of_step]
    return Health(
        boot_server,
        health,
        errors=severities.count('error'),
        warnings=severities.count('warning'),
        pending=sum(sum((service.get('planned') or {}).values()) for service in boot_server.services),
        bad_services=tuple(
            service.get('name', '') for service in boot_server.services if service.get('state') in ('degraded', 'down')
        ),
    )
