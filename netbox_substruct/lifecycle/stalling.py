"""Of which builds nothing was heard for too long, and how that is said.  Reads only: `builds.notice_stalled` acts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..choices import BuildEventKindChoices
from ..choices import BuildStateChoices as State
from .states import BUILD_ACTIVE

# A boot server that is away for this long keeps no build waiting any more.
AWAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing was heard for `minutes`; `last_event` is the id of the last event (0 if there was none), `last` what it
    was, `served` whether any boot server serves the machine."""

    minutes: int
    last_event: int
    last: str
    served: bool

    def words(self, state: str) -> str:
        """The reason, for people."""
        if not self.served:
            return _('Nothing heard for {time}: no boot server serves the machine.').format(time=span(self.minutes))
        if state == State.STATE_PENDING:
            return _(
                'Nothing heard of the machine for {time} since the build was requested; is it switched on, and does it '
                'boot from the network?'
            ).format(time=span(self.minutes))
        return _('Nothing heard for {time} since “{step}”; look at the machine’s console.').format(
            time=span(self.minutes), step=self.last
        )


def span(minutes: int) -> str:
    """A time in words: minutes, from two hours on hours, from two days on days."""
    if minutes < 120:
        return ngettext('{count} minute', '{count} minutes', minutes).format(count=minutes)
    if minutes < 48 * 60:
        return _('{count} hours').format(count=minutes // 60)
    return _('{count} days').format(count=minutes // (24 * 60))


def overdue(now: datetime) -> dict[int, Silence]:
    """The builds under way of which nothing was heard for longer than they may be silent, by id."""
    from ..models import Build, BuildEvent, Profile

    # Received, not happened: the clocks of machines and boot servers are not to be trusted with this.
    rows = list(
        Build.objects.filter(state__in=BUILD_ACTIVE)
        .values_list('pk', 'state', 'profile_id', 'machine_id', 'created')
        .annotate(heard=Max('events__created'), last=Max('events__pk'))
        .order_by('pk')
    )
    profiles = {profile.pk: profile for profile in Profile.objects.filter(pk__in={row[2] for row in rows if row[2]})}
    limits: dict[tuple[int | None, str], timedelta | None] = {}
    silent = []
    for build, state, profile_id, machine, created, heard, last in rows:
        kind = (profile_id, state)
        if kind not in limits:
            limits[kind] = _limit(profiles.get(profile_id), state)
        since, limit = heard or created, limits[kind]
        if limit is not None and since is not None and now - since > limit:
            silent.append((build, machine, since, limit, last or 0))
    if not silent:
        return {}
    heard_since = _heard_since({machine for _, machine, *_ in silent}, now)
    kinds = dict(BuildEventKindChoices)
    steps = dict(BuildEvent.objects.filter(pk__in=[last for *_, last in silent]).values_list('pk', 'kind'))
    found = {}
    for build, machine, since, limit, last in silent:
        served = machine in heard_since
        if served:
            began = heard_since[machine]
            if began is None or now - max(began, since) <= limit:
                continue
        minutes = int((now - since).total_seconds() // 60)
        found[build] = Silence(minutes, last, str(kinds.get(steps.get(last, ''), '')), served)
    return found


def _limit(profile: Any, state: str) -> timedelta | None:
    """How long a build may be silent; None: for ever."""
    from netbox.plugins import get_plugin_config

    name = 'pending_limit' if state == State.STATE_PENDING else 'stall_limit'
    minutes = profile.effective(name) if profile is not None else get_plugin_config('netbox_substruct', name)
    return timedelta(minutes=minutes) if minutes else None


def _heard_since(machines: Iterable[int], now: datetime) -> Mapping[int, datetime | None]:
    """Since when any boot server of each machine has been heard without a gap; None while none is.

    Machines that no boot server serves are left out.
    """
    from ..feed import reader
    from ..models import BootServer

    found: dict[int, datetime | None] = {}
    wanted = set(machines)
    for server in BootServer.objects.all():
        for machine in reader.served(server.pk, wanted):
            known = found.setdefault(machine, None)
            since = _heard(server, now)
            if since is not None and (known is None or since < known):
                found[machine] = since
    return found


def _heard(server: Any, now: datetime) -> datetime | None:
    if server.last_heartbeat is None:
        since: datetime | None = server.created  # never heard of: its time runs from when it was made
        return since
    if server.is_late:
        away: datetime = server.last_heartbeat
        return away if now - away > AWAY else None
    return server.heard_since or server.last_heartbeat
