"""Substruct's event types, and how a move is told to NetBox's event rules, webhooks, scripts and notifications.

NetBox writes its changelog and queues its events only while a request is being handled.  `tracked` gives moves that
happen elsewhere (jobs, scripts, a shell) the same treatment.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction
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

MACHINE_DISCOVERED = 'substruct_machine_discovered'
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

EVENT_TYPES = (
    EventType(MACHINE_DISCOVERED, _('Machine discovered'), EVENT_TYPE_KIND_INFO),
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
)

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
    with event_tracking(request), transaction.atomic():
        yield


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
    with event_tracking(request), transaction.atomic():
        yield


def emit(instance: Any, event_type: str) -> None:
    """Queue an event about a saved object, to be sent once when the request or transaction has succeeded.

    It has a key of its own in NetBox's queue, so that "updated" of the same object does not swallow it.
    """
    request = current_request.get()
    event = {
        'object_type': ObjectType.objects.get_for_model(instance),
        'object_id': instance.pk,
        'object': instance,
        'event_type': event_type,
        'snapshots': {'prechange': None, 'postchange': None},
    }
    if request is None:
        transaction.on_commit(lambda: flush_events([EventContext(event, user=None)]))
        return
    queue = events_queue.get()
    key = f'{instance._meta.label_lower}:{instance.pk}:{event_type}'
    queue[key] = EventContext(event, request=request, user=request.user)
    events_queue.set(queue)
