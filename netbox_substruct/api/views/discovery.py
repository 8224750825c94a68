"""What a discovered machine may be and become, and what a known one is other than NetBox says, over HTTP."""

from typing import Annotated, Any

import msgspec
from django.http import HttpResponse
from django.urls import NoReverseMatch
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from msgspec import Meta
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied

from ...discovery import adoption, difference, keeping, matching
from ...discovery.changes import Known, known
from ..bodies import Invalid, openapi, read
from ..conditions import unchanged
from ..refusals import moving, permission
from ..serializers import RefusalSerializer

__all__ = ('DiscoveryMixin',)

type Keys = Annotated[list[str], Meta(max_length=5000)]


class Adopting(adoption.Choices, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Choices, and with `confirm` the digest of the proposal that is to be carried out; `accept` names the lines that
    are wanted, null the suggested ones."""

    confirm: str = ''
    accept: Keys | None = None


class Accepting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Lines of a difference that are to be written into NetBox, and the digest of the difference that has them."""

    accept: Keys
    confirm: str


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What was made, changed and removed; `machine` is the id of the machine, `object` what it is."""

    machine: int
    object: Known | None
    created: list[Known]
    updated: list[Known]
    deleted: list[str]


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A device or virtual machine that the machine may be; `machine` is the id of what it is registered as, or null."""

    object: Known
    display_url: str
    machine: int | None
    reasons: list[str]
    contradictions: list[str]


class Candidates(msgspec.Struct, frozen=True, kw_only=True):
    machine: int
    candidates: list[Candidate]


STALE = OpenApiResponse(RefusalSerializer, 'What was confirmed is not what would be done now: look at it again.')
CHANGED = OpenApiResponse(OpenApiTypes.OBJECT, 'If-Match was sent, and the machine has changed since.')
FORBIDDEN = OpenApiResponse(RefusalSerializer, 'The user may not do a part of it; the body says which.')
REFUSED = OpenApiResponse(RefusalSerializer, 'Something must be chosen or corrected first; the body says what.')


def _parameters() -> list[OpenApiParameter]:
    """The choices that a query can name."""
    kinds = {'position': OpenApiTypes.NUMBER, 'make_device_type': OpenApiTypes.BOOL}
    texts = ('kind', 'name', 'status', 'face', 'primary_ip', 'bmc_credential')
    return [
        OpenApiParameter(name, kinds.get(name, OpenApiTypes.STR if name in texts else OpenApiTypes.INT), required=False)
        for name in adoption.Choices.__struct_fields__
        if name != 'interfaces'
    ]


class DiscoveryMixin:
    """`machines/<id>/candidates/`, `…/adopt/` and `…/difference/`."""

    @extend_schema(operation_id='substruct_machines_candidates', responses={200: OpenApiResponse(openapi(Candidates))})
    @action(detail=True, methods=['get'])
    def candidates(self, request, pk=None):
        """
        The devices and virtual machines that a machine may be by serial number, UUID or MAC addresses, with what
        speaks for each and against it. Only those that the user may view.
        """
        machine = self.machine('view')
        found = matching.candidates(machine, user=request.user)
        return _json(
            Candidates(
                machine=machine.pk,
                candidates=[
                    Candidate(
                        object=known(each.object), display_url=_url(each.object),
                        machine=each.machine.pk if each.machine is not None else None,
                        reasons=each.reasons, contradictions=each.contradictions,
                    )
                    for each in found
                ],
            )
        )  # fmt: skip

    @extend_schema(
        methods=['GET'],
        operation_id='substruct_machines_adoption',
        parameters=_parameters(),
        responses={200: OpenApiResponse(openapi(adoption.Proposal))},
    )
    @extend_schema(
        methods=['POST'],
        operation_id='substruct_machines_adopt',
        request={'application/json': openapi(Adopting)},
        responses={
            200: OpenApiResponse(openapi(adoption.Proposal), 'Without "confirm": what would be done.'),
            201: OpenApiResponse(openapi(Done), 'With "confirm": what was done.'),
            403: FORBIDDEN, 409: STALE, 412: CHANGED, 422: REFUSED,
        },
    )  # fmt: skip
    @action(
        detail=True,
        methods=['get', 'post'],
        permission_classes=[permission(GET='change', HEAD='change', POST='change')],
        filterset_class=None,
        pagination_class=None,
    )
    def adopt(self, request, pk=None):
        """
        What adopting a discovered machine would make and change, line by line; with "confirm", the digest of a
        proposal, it is carried out: all or nothing. What is not chosen is as discovery rules and facts have it. Needs
        "change" on the machine, "view" on its newest fact set, and "add" or "change" on each object.
        """
        machine = self.machine('change')
        _seen_by(request.user, machine)
        asked = _asked(request, machine)
        choices = msgspec.convert(
            {name: getattr(asked, name) for name in adoption.Choices.__struct_fields__}, adoption.Choices
        )
        if not asked.confirm:
            return _json(adoption.propose(machine, choices, user=request.user))
        with moving(self):
            unchanged(self, machine)
            outcome = adoption.carry_out(machine, choices, asked.confirm, accept=asked.accept, user=request.user)
        return _json(_done(outcome.machine, outcome.written), status.HTTP_201_CREATED)

    @extend_schema(
        methods=['GET'],
        operation_id='substruct_machines_difference',
        responses={200: OpenApiResponse(openapi(difference.Difference))},
    )
    @extend_schema(
        methods=['POST'],
        operation_id='substruct_machines_accept_difference',
        request={'application/json': openapi(Accepting)},
        responses={200: OpenApiResponse(openapi(Done)), 403: FORBIDDEN, 409: STALE, 412: CHANGED, 422: REFUSED},
    )
    @action(
        detail=True,
        methods=['get', 'post'],
        permission_classes=[permission(POST='change')],
        filterset_class=None,
        pagination_class=None,
    )
    def difference(self, request, pk=None):
        """
        What a machine says of itself that NetBox has otherwise, line by line; POST writes lines into NetBox. Needs
        "view" on the machine, its newest fact set and its device or virtual machine; to write, "change" on the machine,
        and "add", "change" or "delete" on each object.
        """
        machine = self.machine('view' if request.method in ('GET', 'HEAD') else 'change')
        obj = machine.object
        if obj is not None and not type(obj).objects.restrict(request.user, 'view').filter(pk=obj.pk).exists():
            raise PermissionDenied
        _seen_by(request.user, machine)
        if request.method != 'POST':
            return _json(difference.difference(machine, user=request.user))
        asked = read(request, Accepting)
        with moving(self):
            unchanged(self, machine)
            written = difference.accept(machine, asked.accept, asked.confirm, user=request.user)
        return _json(_done(machine, written))

    @extend_schema(operation_id='substruct_machines_facts', responses={200: OpenApiTypes.OBJECT})
    @action(detail=True, methods=['get'], permission_classes=[permission(GET='view', HEAD='view')])
    def facts(self, request, pk=None):
        """
        The newest facts of a machine as Substruct reads them, and in words what could not be read. Needs "view" on the
        machine and its fact sets.
        """
        machine = self.machine('view')
        facts_set, reading = _seen_by(request.user, machine)
        return _json(
            {
                'fact_set': facts_set.pk if facts_set is not None else None,
                'collected': facts_set.collected.isoformat() if facts_set is not None else None,
                'facts': reading.facts,
                'problems': reading.problems,
            }
        )


def _seen_by(user: Any, machine: Any) -> tuple[Any, Any]:
    """The newest facts of the machine, for who may see them: what is made of them tells what they say."""
    facts_set, reading = keeping.current(machine)
    if not keeping.may_view(facts_set, user):
        raise PermissionDenied
    return facts_set, reading


def _asked(request: Any, machine: Any) -> Adopting:
    """The choices of a request, over the defaults of the machine."""
    chosen = msgspec.structs.asdict(adoption.defaults(machine)[0])
    try:
        if request.method == 'POST':
            given = read(request, dict[str, Any]) if request.headers.get('Content-Length') != '0' else {}
            return msgspec.convert({**chosen, **given}, Adopting)
        known_names = set(chosen) - {'interfaces'}
        given = {name: value for name, value in request.query_params.items() if name in known_names}
        empty = {name for name, value in given.items() if not value and name in adoption.MODELS}
        given = {name: None if name in empty else value for name, value in given.items()}
        return msgspec.convert({**chosen, **given}, Adopting, strict=False)
    except msgspec.ValidationError as error:
        raise Invalid(str(error)) from error


def _done(machine: Any, written: Any) -> Done:
    return Done(
        machine=machine.pk,
        object=known(machine.object) if machine.object is not None else None,
        created=[known(each) for each in written.created],
        updated=[known(each) for each in written.updated],
        deleted=written.deleted,
    )


def _url(obj: Any) -> str:
    try:
        return str(obj.get_absolute_url())
    except NoReverseMatch:
        return ''


def _json(value: Any, code: int = status.HTTP_200_OK) -> HttpResponse:
    return HttpResponse(msgspec.json.encode(value), status=code, content_type='application/json')
