"""Substruct's event types, and how a move is told to NetBox's event rules, webhooks, scripts and notifications.

NetBox writes its changelog and queues its events only while a request is being handled.  `tracked` gives moves that
happen elsewhere (jobs, scripts, a shell) the same treatment.  What receivers are told of an event stands in `payloads`.
"""

import copy
import logging
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import transaction
from django.dispatch import Signal
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.models import ObjectType
from extras.events import EventContext, flush_events
from netbox.context import current_request, events_queue
from netbox.context_managers import event_tracking
from netbox.events import (
    EVENT_TYPE_KIND_DANGER,
    EVENT_TYPE_KIND_INFO,
    EVENT_TYPE_KIND_SUCCESS,
    EVENT_TYPE_KIND_WARNING,
    EventType,
)
from netbox.registry import registry
from utilities.request import NetBoxFakeRequest

from ..choices import MachineStateChoices
from . import payloads

logger = logging.getLogger('netbox.substruct.events')

MACHINE_DISCOVERED = 'substruct_machine_discovered'
MACHINE_ADOPTED = 'substruct_machine_adopted'
MACHINE_REGISTERED = 'substruct_machine_registered'
MACHINE_RETIRED = 'substruct_machine_retired'
BUILD_REQUESTED = 'substruct_build_requested'
BUILD_STARTED = 'substruct_build_started'
BUILD_INSTALLING = 'substruct_build_installing'
BUILD_FINISHING = 'substruct_build_finishing'
BUILD_COMPLETE = 'substruct_build_complete'
BUILD_FAILED = 'substruct_build_failed'
BUILD_STALLED = 'substruct_build_stalled'
BUILD_CANCELLED = 'substruct_build_cancelled'
WAVE_STARTED = 'substruct_wave_started'
WAVE_PAUSED = 'substruct_wave_paused'
WAVE_STOPPED = 'substruct_wave_stopped'
WAVE_COMPLETE = 'substruct_wave_complete'
BUILD_REFUSED = 'substruct_build_refused'
BOOT_SERVER_LOST = 'substruct_boot_server_lost'
BOOT_SERVER_HEARD = 'substruct_boot_server_heard'
BOOT_SERVER_DRIFTED = 'substruct_boot_server_drifted'
BOOT_SERVER_IN_STEP = 'substruct_boot_server_in_step'

EVENT_TYPES = (
    EventType(MACHINE_DISCOVERED, _('Machine discovered'), EVENT_TYPE_KIND_INFO),
    EventType(MACHINE_ADOPTED, _('Machine adopted'), EVENT_TYPE_KIND_SUCCESS),
    EventType(MACHINE_REGISTERED, _('Machine registered'), EVENT_TYPE_KIND_INFO),
    EventType(MACHINE_RETIRED, _('Machine retired'), EVENT_TYPE_KIND_INFO),
    EventType(BUILD_REQUESTED, _('Build requested'), EVENT_TYPE_KIND_INFO),
    EventType(BUILD_STARTED, _('Build started'), EVENT_TYPE_KIND_INFO),
    EventType(BUILD_INSTALLING, _('Build installing'), EVENT_TYPE_KIND_INFO),
    EventType(BUILD_FINISHING, _('Build finishing'), EVENT_TYPE_KIND_INFO),
    EventType(BUILD_COMPLETE, _('Build complete'), EVENT_TYPE_KIND_SUCCESS),
    EventType(BUILD_FAILED, _('Build failed'), EVENT_TYPE_KIND_DANGER),
    EventType(BUILD_STALLED, _('Build stalled'), EVENT_TYPE_KIND_WARNING),
    EventType(BUILD_CANCELLED, _('Build cancelled'), EVENT_TYPE_KIND_WARNING),
    EventType(WAVE_STARTED, _('Wave started'), EVENT_TYPE_KIND_INFO),
    EventType(WAVE_PAUSED, _('Wave paused'), EVENT_TYPE_KIND_INFO),
    EventType(WAVE_STOPPED, _('Wave stopped'), EVENT_TYPE_KIND_WARNING),
    EventType(WAVE_COMPLETE, _('Wave complete'), EVENT_TYPE_KIND_SUCCESS),
    EventType(BUILD_REFUSED, _('Build by an event rule refused'), EVENT_TYPE_KIND_DANGER),
    EventType(BOOT_SERVER_LOST, _('Boot server lost'), EVENT_TYPE_KIND_DANGER),
    EventType(BOOT_SERVER_HEARD, _('Boot server heard again'), EVENT_TYPE_KIND_SUCCESS),
    EventType(BOOT_SERVER_DRIFTED, _('Boot server out of step'), EVENT_TYPE_KIND_WARNING),
    EventType(BOOT_SERVER_IN_STEP, _('Boot server in step again'), EVENT_TYPE_KIND_SUCCESS),
)

# Sent with `instance` and `event_type` for every event, inside its transaction: for other parts of the plugin, which
# `lifecycle` need not know.
emitted = Signal()

# What is told when a machine comes into a state otherwise than by a build.
OF_MACHINE_STATE = {
    MachineStateChoices.STATE_DISCOVERED: MACHINE_DISCOVERED,
    MachineStateChoices.STATE_REGISTERED: MACHINE_REGISTERED,
    MachineStateChoices.STATE_RETIRED: MACHINE_RETIRED,
}


def register() -> None:
    """Make the event types known to NetBox; called once, when the plugin is loaded."""
    for event_type in EVENT_TYPES:
        if event_type.name not in registry['event_types']:
            event_type.register()


@contextmanager
def tracked(user: Any) -> Iterator[None]:
    """One move: all of it or nothing, in the changelog, its events sent when it is committed.

    Inside a request NetBox's own tracking is used.  Outside of one a tracking of our own is opened in the name of
    `user`; without a user there is nobody to name in a changelog, and only the events are sent.
    """
    if current_request.get() is not None or user is None:
        with transaction.atomic():
            yield
        return
    request = NetBoxFakeRequest(
        {'id': uuid.uuid4(), 'user': user, 'META': {}, 'COOKIES': {}, 'POST': {}, 'GET': {}, 'FILES': {},
         'method': 'POST', 'path': '', 'path_info': ''}
    )  # fmt: skip
    with event_tracking(request):
        with transaction.atomic():
            yield
        _send_queue()


@contextmanager
def alone(user: Any) -> Iterator[None]:
    """One of several moves within a request: all of it or nothing, whatever becomes of the others.

    NetBox keeps one queue of events for a request, and can only drop all of it.  This move has a queue of its own,
    which is sent when the move has succeeded.
    """
    request = current_request.get()
    if request is None:
        with tracked(user):
            yield
        return
    with event_tracking(request):
        with transaction.atomic():
            yield
        _send_queue()


class Told(EventContext):
    """An event whose data is its payload (`payloads`), made when somebody wants it.

    It tells of the object as it was when the event happened: what becomes of it afterwards in the same request is
    another event.
    """

    def __init__(
        self, instance: Any, event_type: str, payload: Callable[[datetime], dict[str, Any]] | None = None, **more: Any
    ) -> None:
        super().__init__(
            object_type=ObjectType.objects.get_for_model(instance),
            object_id=instance.pk,
            object=instance,
            event_type=event_type,
            snapshots={'prechange': None, 'postchange': None},
            **more,
        )
        then, time = copy.copy(instance), timezone.now()
        self._payload = (lambda: payload(time)) if payload else (lambda: payloads.of(then, event_type, time))

    def __getitem__(self, item: str) -> Any:
        if item == 'data' and 'data' not in self:
            payload = self._payload()
            if payload is not None:
                self['data'] = payload
        return super().__getitem__(item)


def emit(instance: Any, event_type: str, payload: Callable[[datetime], dict[str, Any]] | None = None) -> None:
    """Queue an event about a saved object, to be sent once when the request or transaction has succeeded.

    It has a key of its own in NetBox's queue, so that "updated" of the same object does not swallow it.  `payload`
    makes another one than `payloads.of` does, from the time of the event.
    """
    emitted.send(sender=type(instance), instance=instance, event_type=event_type)
    request = current_request.get()
    if request is None:
        event = Told(instance, event_type, payload, user=None)
        transaction.on_commit(lambda: _send(event))
        return
    queue = events_queue.get()
    key = f'{instance._meta.label_lower}:{instance.pk}:{event_type}'
    queue[key] = Told(instance, event_type, payload, request=request, user=request.user)
    events_queue.set(queue)


def _send_queue() -> None:
    """Send what the move has queued: it is committed, and stays so whatever is wrong with whoever is to be told."""
    queue = events_queue.get()
    events_queue.set({})
    for event in queue.values():
        _send(event)


def _send(event: Any) -> None:
    """Tell event rules of one event.  A rule that cannot be carried out costs neither the move nor the other events."""
    try:
        flush_events([event])
    except Exception:
        logger.exception('Event %s of %s could not be told', event['event_type'], event['object'])
