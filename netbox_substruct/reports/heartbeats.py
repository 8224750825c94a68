"""How a boot server and its services are: written to the boot server, without a trace in the changelog.

It is written past the ORM's saving, because every half minute of every boot server would be a change that somebody
made; the pages say when it was.
"""

import logging
from datetime import datetime, timedelta
from typing import Any

import msgspec
from django.db import transaction
from django.utils import timezone

from . import health
from . import messages as m

logger = logging.getLogger('netbox.substruct.reports')

# Who has not reported for this long is no other instance any more.
INSTANCE_GONE = timedelta(minutes=2)
MOST_INSTANCES = 20


def take(boot_server_id: int, beat: m.Heartbeat, now: datetime | None = None) -> m.Heard:
    """Write a heartbeat down.  Raises BootServer.DoesNotExist, and ValueError for a time that is none."""
    from ..models import BootServer
    from ..models.bootservers import LATE_AFTER

    now = now or timezone.now()
    own = m.Instance(
        instance=m.kept(beat.instance),
        version=m.kept(beat.version, 50),
        last_heard=now.isoformat(timespec='seconds'),
        started=_time(beat.started, now),
        state_age=beat.state_age,
    )
    services = [_service(service, now) for service in beat.services]
    problems = m.kept(msgspec.to_builtins(beat.problems))
    with transaction.atomic():
        boot_server = (
            BootServer.objects.select_for_update(of=('self',))
            .only('id', 'name', 'status', 'base_url', 'instances', 'last_heartbeat', 'heard_since')
            .get(pk=boot_server_id)
        )
        others = [other for other in heard_lately(boot_server, now) if other.instance != own.instance]
        before = boot_server.last_heartbeat
        without_gap = before is not None and now - before <= LATE_AFTER and boot_server.heard_since is not None
        BootServer.objects.filter(pk=boot_server_id).update(
            heard_since=boot_server.heard_since if without_gap else now,
            services=services,
            out_of_step=problems,
            version=own.version,
            last_heartbeat=now,
            applied_cursor=m.kept(beat.applied_cursor),
            instances=msgspec.to_builtins([own, *others][:MOST_INSTANCES]),
        )
    try:
        health.notice(boot_server_id, now)
    except BootServer.DoesNotExist:
        raise
    except Exception:  # what is told of it must not keep it from being heard
        logger.exception('Boot server %s is heard, and whether it is in step could not be told', boot_server_id)
    return m.Heard(
        boot_server=m.BootServer(
            id=boot_server.pk, name=boot_server.name, status=boot_server.status, base_url=boot_server.base_url
        ),
        time=now.isoformat(timespec='milliseconds'),
        other_instances=others,
    )


def heard_lately(boot_server: Any, now: datetime | None = None) -> list[m.Instance]:
    """The sidecars that reported under a boot server's name in the last minutes, the last one first."""
    since = (now or timezone.now()) - INSTANCE_GONE
    found = msgspec.convert(boot_server.instances, list[m.Instance])
    return [instance for instance in found if datetime.fromisoformat(instance.last_heard) > since]


def _service(service: m.Service, now: datetime) -> dict[str, Any]:
    found = m.kept(msgspec.to_builtins(service))
    for name in ('last_plan', 'last_apply'):
        found[name] = _time(getattr(service, name), now)
    return found


def _time(value: m.Time | None, now: datetime) -> str | None:
    return None if value is None else m.moment(value, now).isoformat(timespec='seconds')
