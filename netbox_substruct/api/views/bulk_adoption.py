"""Adopting many discovered machines with one request.

Not all or none, as other actions on many are: what one machine brings into NetBox (a device type, a prefix) changes
what is proposed for the next.  So each is adopted by itself, in the list's order, and the answer says how it went.
"""

from typing import Any, Literal

import msgspec
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError as BadRequest
from rest_framework.response import Response

from utilities.exceptions import PreconditionFailed

from ...discovery import adoption
from ...lifecycle import events
from ...lifecycle.errors import LifecycleError, NotReady
from ...models import Machine
from ..bodies import openapi
from ..conditions import unchanged
from ..refusals import permission
from ..serializers import BackgroundSerializer
from . import discovery
from .bulk import BACKGROUND, accepted

__all__ = ('BulkAdoption',)


class AdoptingOne(discovery.Adopting, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As for one machine, with its `id`.  `unseen` true carries out what is proposed now, without a digest."""

    id: int
    unseen: bool = False


class Adopted(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one machine; refused with a `code` and the reason in `detail`."""

    id: int
    status: Literal['adopted', 'refused']
    code: str = ''
    detail: str = ''
    done: discovery.Done | None = None


class BulkAdoption:
    """`machines/adopt/`."""

    @extend_schema(
        operation_id='substruct_machines_bulk_adopt',
        request={'application/json': openapi(list[AdoptingOne])},
        parameters=[BACKGROUND],
        responses={
            200: OpenApiResponse(openapi(list[Adopted]), 'What became of each, in the order of the list.'),
            202: OpenApiResponse(BackgroundSerializer, 'With "background": a job does it.'),
        },
    )
    @action(
        detail=False,
        methods=['post'],
        url_path='adopt',
        url_name='bulk-adopt',
        permission_classes=[permission(POST='change')],
        filterset_class=None,
        pagination_class=None,
    )
    def bulk_adopt(self, request: Any) -> Any:
        """
        Adopt many discovered machines, each by itself. Give each with its "id", the choices that differ from the
        defaults, and "confirm", the digest of the proposal that somebody saw, or "unseen" true. Needs what adopting
        one needs.
        """
        entries = request.data
        for number, entry in enumerate(entries if isinstance(entries, list) else ()):
            if not isinstance(entry, dict) or type(entry.get('id')) is not int:
                raise BadRequest({'detail': _('Entry {number} of the list has no "id".').format(number=number + 1)})
        if (response := accepted(self, request, 'bulk_adopt')) is not None:
            return response
        return Response([msgspec.to_builtins(_adopt(self, entry, request.user)) for entry in entries])


def _adopt(view: Any, entry: dict[str, Any], user: Any) -> Adopted:
    """Never raises what one machine's trouble is."""
    machine = Machine.objects.restrict(user, 'change').filter(pk=entry['id']).first()
    if machine is None:
        why = _('There is no such machine that you may change.')
        return Adopted(id=entry['id'], status='refused', code='not-found', detail=why)
    try:
        discovery._seen_by(user, machine)
        chosen = msgspec.structs.asdict(adoption.defaults(machine)[0])
        asked = msgspec.convert({**chosen, **entry}, AdoptingOne)
        choices = msgspec.convert({name: getattr(asked, name) for name in chosen}, adoption.Choices)
        with events.alone(user):
            unchanged(view, machine)
            confirmed = asked.confirm
            if not confirmed:
                if not asked.unseen:
                    raise NotReady(_('Confirm the digest of its proposal, or say "unseen": true.'))
                confirmed = adoption.propose(machine, choices, user=user).digest
            outcome = adoption.carry_out(machine, choices, confirmed, accept=asked.accept, user=user)
    except LifecycleError as error:
        return Adopted(id=machine.pk, status='refused', code=error.code, detail=str(error))
    except PreconditionFailed:
        why = _('If-Match was sent, and the machine has changed since.')
        return Adopted(id=machine.pk, status='refused', code='changed', detail=why)
    except PermissionDenied:
        why = _('You may not view its facts.')
        return Adopted(id=machine.pk, status='refused', code='not-permitted', detail=why)
    except msgspec.ValidationError as error:
        return Adopted(id=machine.pk, status='refused', code='invalid', detail=str(error))
    except ValidationError as error:
        return Adopted(id=machine.pk, status='refused', code='invalid', detail='; '.join(error.messages))
    done = discovery._done(outcome.machine, outcome.written)
    return Adopted(id=entry['id'], status='adopted', done=done)
