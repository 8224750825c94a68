"""Boot servers that are lost, and those whose services are not as NetBox wants them: noticed, and told once each.

`verdict` is pure; `notice` asks it whenever a boot server reports, and `watch` for all of them every minute.  What is
told stands in the boot server (`lost`, `drifted`), so that it is told once, and its end too.  A boot server that is not
meant to be active is nobody's concern: nothing new is told of it, and what was told is forgotten.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from ..choices import BootServerStatusChoices
from ..lifecycle import events

# Whoever looks every minute and did not for so long was away, as NetBox may have been: boot servers could not report.
AWAY = timedelta(minutes=3)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a boot server: `late` if it should have been heard of, `in_step` None while nobody can say."""

    active: bool
    late: bool
    in_step: bool | None
    lost: datetime | None
    drifted: datetime | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the boot server's fields become, and the events to tell."""

    lost: datetime | None
    drifted: datetime | None
    told: tuple[str, ...] = ()


def verdict(known: Known, now: datetime) -> Verdict:
    """What is new about a boot server.  While it is lost nobody knows whether it is in step: that stays as it was."""
    if not known.active:
        return Verdict(None, None)
    lost, drifted, told = known.lost, known.drifted, []
    if known.late and lost is None:
        lost = now
        told.append(events.BOOT_SERVER_LOST)
    elif not known.late and lost is not None:
        lost = None
        told.append(events.BOOT_SERVER_HEARD)
    if known.in_step is False and drifted is None:
        drifted = now
        told.append(events.BOOT_SERVER_DRIFTED)
    elif known.in_step is True and drifted is not None:
        drifted = None
        told.append(events.BOOT_SERVER_IN_STEP)
    return Verdict(lost, drifted, tuple(told))


def notice(boot_server_id: int, now: datetime | None = None) -> list[str]:
    """Look at one boot server and tell what is new; gives the events told.  Raises BootServer.DoesNotExist."""
    from ..models import BootServer

    now = now or timezone.now()
    with transaction.atomic():
        boot_server = BootServer.objects.select_for_update(of=('self',)).get(pk=boot_server_id)
        found = verdict(_known(boot_server, now), now)
        if (found.lost, found.drifted) != (boot_server.lost, boot_server.drifted):
            # Past the ORM's saving, like everything that was heard and not changed by anybody.
            BootServer.objects.filter(pk=boot_server_id).update(lost=found.lost, drifted=found.drifted)
            boot_server.lost, boot_server.drifted = found.lost, found.drifted
        for event_type in found.told:
            events.emit(boot_server, event_type)
    return list(found.told)


def watch(
    now: datetime | None = None, *, last: datetime | None = None, failed: Callable[[Any], None] = lambda _: None
) -> list[tuple[Any, str]]:
    """Look at all boot servers; gives each that something was told of, with the event.

    `last` is when somebody looked before: after a pause nobody is called lost, for nobody could report.  One that
    cannot be looked at is given to `failed`, in an exception's handler, and costs no other.
    """
    from ..models import BootServer

    now = now or timezone.now()
    if last is None or now - last > AWAY:
        return []
    told = []
    for boot_server in BootServer.objects.order_by('pk'):
        if not _is_new(boot_server, now):
            continue
        try:
            told += [(boot_server, event_type) for event_type in notice(boot_server.pk, now)]
        except BootServer.DoesNotExist:
            continue
        except Exception:
            failed(boot_server)
    return told


def _is_new(boot_server: Any, now: datetime) -> bool:
    found = verdict(_known(boot_server, now), now)
    return (found.lost, found.drifted) != (boot_server.lost, boot_server.drifted)


def _known(boot_server: Any, now: datetime) -> Known:
    from ..models.bootservers import LATE_AFTER

    heard = boot_server.last_heartbeat
    late = heard is not None and now - heard > LATE_AFTER
    return Known(
        active=boot_server.status == BootServerStatusChoices.STATUS_ACTIVE,
        late=late,
        in_step=boot_server.in_step,
        lost=boot_server.lost,
        drifted=boot_server.drifted,
    )
