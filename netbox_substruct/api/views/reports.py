"""What a boot server's sidecar tells NetBox, over HTTP: heartbeats, tasks, what machines reported, where to wake it.

All of it needs the permission `feed` on the boot server and no other: a boot server speaks for the machines that it
serves, and must not need the permissions to change them.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import APIException, NotFound
from rest_framework.generics import get_object_or_404

from ... import preflight
from ...choices import TaskKindChoices
from ...lifecycle import tasks
from ...models import BootServer, Task
from ...reports import delivery, heartbeats, webhooks
from ...reports import messages as m
from ..bodies import Invalid, openapi, read
from ..refusals import moving, permission
from ..serializers import ProblemSerializer, RefusalSerializer
from .feed import AnyAccept

__all__ = ('ReportsMixin',)

INVALID = OpenApiResponse(ProblemSerializer, 'The body is not what it should be; nothing was changed.')
LOST = OpenApiResponse(RefusalSerializer, 'The task is not claimed by this instance for this attempt (any more).')


class TryAgain(APIException):
    """503: what was not answered has not been taken; the same request may be made again."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE

    def __init__(self, why: str) -> None:
        super().__init__(detail={'detail': f'NetBox’s database is in trouble: {why}', 'code': 'try-again'})


def reports(body: Any, answer: Any, *, summary: str, url_path: str, name: str, errors: dict[int, Any] | None = None):
    """An action of a boot server: POST with a typed body and a typed answer."""

    def decorate(method: Callable[..., Any]) -> Callable[..., Any]:
        described = extend_schema(
            operation_id=f'substruct_boot_servers_{name}',
            description=f'{summary} Needs "feed" on the boot server.',
            request={'application/json': openapi(body)},
            responses={200: OpenApiResponse(openapi(answer)), 400: INVALID, **(errors or {})},
        )
        return described(
            action(
                detail=True,
                methods=['post'],
                url_path=url_path,
                url_name=name.replace('_', '-'),
                permission_classes=[permission(POST='feed')],
                content_negotiation_class=AnyAccept,
                filterset_class=None,
                pagination_class=None,
            )(method)
        )

    return decorate


def _json(value: Any) -> HttpResponse:
    return HttpResponse(msgspec.json.encode(value), content_type='application/json')


class ReportsMixin:
    """`boot-servers/<id>/heartbeat/`, `…/tasks/…`, `…/deliver/` and `…/webhook/`."""

    def reporting(self, request, pk) -> BootServer:
        """The boot server that speaks."""
        self.queryset = BootServer.objects.restrict(request.user, 'feed')
        return get_object_or_404(self.queryset, pk=pk)

    def task_of(self, boot_server, task) -> Task:
        return get_object_or_404(Task.objects.filter(boot_server=boot_server), pk=task)

    @reports(
        m.Heartbeat, m.Heard, url_path='heartbeat', name='heartbeat',
        summary='Say how the boot server and its services are. Answered with the clock of NetBox, and with the other '
        'instances that reported under the same name in the last two minutes: there should be none.',
    )  # fmt: skip
    def heartbeat(self, request, pk=None):
        boot_server = self.reporting(request, pk)
        beat = read(request, m.Heartbeat)
        try:
            return _json(heartbeats.take(boot_server.pk, beat))
        except BootServer.DoesNotExist as error:
            raise NotFound from error
        except ValueError as error:
            raise Invalid(str(error)) from error

    @reports(
        m.Claim, m.Claims, url_path='tasks/claim', name='tasks_claim',
        summary='Claim tasks that are due. The same key again gives the same tasks.',
    )  # fmt: skip
    def claim_tasks(self, request, pk=None):
        boot_server = self.reporting(request, pk)
        asked = read(request, m.Claim)
        with moving(self):
            found = tasks.claim(
                boot_server, instance=asked.instance, key=asked.key, limit=asked.limit, user=request.user
            )
        return _json(
            m.Claims(
                tasks=[
                    m.Claimed(
                        id=task.pk, kind=task.kind, machine=task.machine_id, build=task.build_id,
                        parameters=task.parameters, attempt=task.attempts, lease_expires=_time(task.lease_expires),
                    )
                    for task in found
                ],
                lease=int(tasks.lease().total_seconds()),
            )
        )  # fmt: skip

    @reports(
        m.Renewal, m.Renewed, url_path=r'tasks/(?P<task>\d+)/renew', name='tasks_renew', errors={409: LOST},
        summary='Keep a claimed task for another lease.',
    )  # fmt: skip
    def renew_task(self, request, pk=None, task=None):
        found = self.task_of(self.reporting(request, pk), task)
        asked = read(request, m.Renewal)
        with moving(self):
            tasks.renew(found, instance=asked.instance, attempt=asked.attempt)
        return _json(m.Renewed(id=found.pk, lease_expires=_time(found.lease_expires)))

    @reports(
        m.Answer, m.Answered, url_path=r'tasks/(?P<task>\d+)/answer', name='tasks_answer', errors={409: LOST},
        summary='Say what became of a claimed task. The same answer again changes nothing.',
    )  # fmt: skip
    def answer_task(self, request, pk=None, task=None):
        found = self.task_of(self.reporting(request, pk), task)
        asked = read(request, m.Answer)
        answer, error = asked.answer, asked.error
        if found.kind == TaskKindChoices.KIND_PREFLIGHT:
            answer, error = preflight.taken(answer, error)
        with moving(self):
            tasks.answer(
                found, answer=m.kept(answer, m.LOG), error=m.kept(error, m.LOG), instance=asked.instance,
                attempt=asked.attempt, user=request.user,
            )  # fmt: skip
        return _json(m.Answered(id=found.pk, state=found.state, attempts=found.attempts))

    @reports(
        m.Delivery, m.Results, url_path='deliver', name='deliver',
        errors={503: OpenApiResponse(ProblemSerializer, 'The database is in trouble: deliver again from the start.')},
        summary='Deliver what machines reported, in order. Each message is taken once, by itself: "ok", "duplicate", '
        'or "refused" with a code, which is final.',
    )  # fmt: skip
    def deliver(self, request, pk=None):
        boot_server = self.reporting(request, pk)
        body = read(request, m.Delivery)
        try:
            return _json(m.Results(results=delivery.deliver(boot_server, body.messages, request.user)))
        except delivery.Invalid as error:
            raise Invalid(str(error)) from error
        except delivery.Later as error:
            raise TryAgain(str(error)) from error

    @reports(
        m.Hook, m.Hooked, url_path='webhook', name='webhook',
        errors={422: OpenApiResponse(RefusalSerializer, 'NetBox cannot call this URL.')},
        summary='Let NetBox call this URL whenever something changes that the feed tells; an empty one ends it. The '
        'answer has the key of the signature.',
    )  # fmt: skip
    def webhook(self, request, pk=None):
        boot_server = self.reporting(request, pk)
        hook = read(request, m.Hook)
        if not hook.url:
            with moving(self):
                webhooks.remove(boot_server.pk, user=request.user)
            return _json(m.Hooked(secret='', webhook=None, event_rule=None))
        with moving(self):
            webhook, rule = webhooks.put(
                boot_server.pk, hook.url, ssl_verification=hook.ssl_verification, user=request.user
            )
        return _json(m.Hooked(secret=webhook.secret, webhook=webhook.pk, event_rule=rule.pk))


def _time(value) -> str:
    return value.isoformat(timespec='seconds')
