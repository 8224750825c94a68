"""The overview as the REST API has it: what its page shows, of what the user may see."""

from datetime import timedelta
from typing import Any

import msgspec
from django.http import HttpResponse
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.views import APIView

from dcim.models import DeviceType, Site
from netbox.api.authentication import IsAuthenticatedOrLoginNotRequired

from ...models import BootServer, Build, Machine
from ...overview import reading
from ..bodies import openapi
from ..schema import Schema

__all__ = ('OverviewView',)

# Builds that are named of those under way, and of the failures.
NAMED = 50
MOST_DAYS = 366


class BuildNow(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    display: str
    state: str
    progress: int | None
    error: str


class Builds(msgspec.Struct, frozen=True, kw_only=True):
    """Of `total` builds the first fifty."""

    total: int
    builds: list[BuildNow]


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """How builds ended on a day of the user's time zone; stalled ones count as failed."""

    day: str
    complete: int
    failed: int
    cancelled: int


class Durations(msgspec.Struct, frozen=True, kw_only=True):
    """Half of the complete builds of a group took at most `p50` seconds, nine of ten at most `p90`.

    `id` and `display` are those of the device type or site; null for builds that have none.
    """

    id: int | None
    display: str | None
    builds: int
    p50: float
    p90: float


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """`health` is lost, out-of-step, silent (never heard), in-step or not-active; the worst come first.

    `pending` counts what its services are to change.
    """

    id: int
    display: str
    health: str
    errors: int
    warnings: int
    pending: int
    bad_services: list[str]


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """Parts are null where the user may not view their model at all.  `failures` are those nobody has looked after."""

    machines: dict[str, int] | None
    under_way: Builds | None
    failures: Builds | None
    days: list[Day] | None
    by_device_type: list[Durations] | None
    by_site: list[Durations] | None
    boot_servers: list[Health] | None


class OverviewView(APIView):
    permission_classes = [IsAuthenticatedOrLoginNotRequired]
    schema = Schema()

    @extend_schema(
        operation_id='substruct_overview',
        parameters=[
            OpenApiParameter('days', OpenApiTypes.INT, description='So many days up to today; 30 if not given')
        ],
        responses={200: OpenApiResponse(openapi(Overview))},
    )
    def get(self, request: Any) -> HttpResponse:
        """
        How provisioning is as a whole: machines by state, builds under way, failures to look after, builds per day and
        how long they took, boot servers. Every part counts what the user may view, and no more.
        """
        user, days = request.user, _days(request.query_params.get('days'))
        machines, builds = _seen(Machine, user), _seen(Build, user)
        servers = _seen(BootServer, user)
        overview = Overview(
            machines=reading.states(machines) if machines is not None else None,
            under_way=_builds(reading.under_way(builds, NAMED)) if builds is not None else None,
            failures=_builds(reading.failures(builds, NAMED)) if builds is not None else None,
            days=[
                Day(day=each.day.isoformat(), complete=each.complete, failed=each.failed, cancelled=each.cancelled)
                for each in reading.per_day(builds, days)
            ]
            if builds is not None
            else None,
            by_device_type=_durations(
                reading.durations_by_model(builds, DeviceType.objects.restrict(user, 'view'), days)
            )
            if builds is not None
            else None,
            by_site=_durations(reading.durations_by_site(builds, Site.objects.restrict(user, 'view'), days))
            if builds is not None
            else None,
            boot_servers=[_health(each) for each in reading.boot_servers(servers)] if servers is not None else None,
        )
        return HttpResponse(msgspec.json.encode(overview), content_type='application/json')


def _days(value: str | None) -> int:
    if value is None:
        return 30
    if not (value.isdecimal() and len(value) < 4 and 1 <= int(value) <= MOST_DAYS):
        raise ValidationError({'days': [_('From 1 to {most} days.').format(most=MOST_DAYS)]})
    return int(value)


def _seen(model: Any, user: Any) -> Any:
    if not user.has_perm(f'netbox_substruct.view_{model._meta.model_name}'):
        return None
    return model.objects.restrict(user, 'view')


def _builds(rows: reading.Rows) -> Builds:
    return Builds(
        total=rows.total,
        builds=[
            BuildNow(id=each.pk, display=str(each), state=each.state, progress=each.progress, error=each.error)
            for each in rows.rows
        ],
    )


def _durations(groups: list[reading.Durations]) -> list[Durations]:
    return [
        Durations(
            id=each.object.pk if each.object is not None else None,
            display=str(each.object) if each.object is not None else None,
            builds=each.builds, p50=_seconds(each.p50), p90=_seconds(each.p90),
        )
        for each in groups
    ]  # fmt: skip


def _seconds(took: timedelta) -> float:
    return round(took.total_seconds(), 1)


def _health(each: reading.Health) -> Health:
    return Health(
        id=each.boot_server.pk, display=str(each.boot_server), health=each.health, errors=each.errors,
        warnings=each.warnings, pending=each.pending, bad_services=list(each.bad_services),
    )  # fmt: skip
