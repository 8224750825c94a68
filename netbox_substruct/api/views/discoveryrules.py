"""REST view sets of discovery rules."""

from typing import Annotated, Any

import msgspec
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from msgspec import Meta
from rest_framework.decorators import action

from ... import filtersets
from ...discovery import trying
from ...models import DiscoveryRule
from ...validators import validate_condition
from .. import serializers
from ..bodies import Invalid, openapi, read
from ..refusals import permission
from ..schema import ModelViewSet

__all__ = ('DiscoveryRuleViewSet',)

TRIAL = OpenApiResponse(openapi(trying.Trial))


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What of a rule that is not saved a dry run goes by."""

    name: Annotated[str, Meta(max_length=100)] = ''
    enabled: bool = True
    priority: Annotated[int, Meta(ge=0, le=32767)] = 100
    condition: dict[str, Any] = {}
    host_name_template: Annotated[str, Meta(max_length=200)] = ''
    limit: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    adopt_at_once: bool = False
    build_at_once: bool = False


class DiscoveryRuleViewSet(ModelViewSet):
    queryset = DiscoveryRule.objects.all()
    serializer_class = serializers.DiscoveryRuleSerializer
    filterset_class = filtersets.DiscoveryRuleFilterSet

    @extend_schema(methods=['GET'], operation_id='substruct_discovery_rules_dry_run', responses={200: TRIAL})
    @extend_schema(
        methods=['POST'],
        operation_id='substruct_discovery_rules_try_change',
        request={'application/json': openapi(Rule)},
        responses={200: TRIAL},
    )
    @action(
        detail=True,
        methods=['get', 'post'],
        url_path='dry-run',
        permission_classes=[permission(GET='view', HEAD='view', POST='change')],
        filterset_class=None,
        pagination_class=None,
    )
    def dry_run(self, request, pk=None):
        """
        What a rule would take of the machines whose facts are known, and why not the others. Nothing is changed. Only
        machines and facts that the user may view. POST: what it would take if it were changed to what is sent, which
        needs "change" on the rule.
        """
        self.queryset = DiscoveryRule.objects.restrict(request.user, 'change' if request.method == 'POST' else 'view')
        rule = self.get_object()
        if request.method == 'POST':
            rule = _unsaved(request, rule.pk)
        return _json(trying.dry_run(rule, request.user))

    @extend_schema(
        operation_id='substruct_discovery_rules_try',
        request={'application/json': openapi(Rule)},
        responses={200: TRIAL},
    )
    @action(
        detail=False,
        methods=['post'],
        url_path='dry-run',
        url_name='try',
        permission_classes=[permission(POST='add')],
        filterset_class=None,
        pagination_class=None,
    )
    def try_out(self, request):
        """
        The same of a rule that is not there yet. Needs "add" on discovery rules.
        """
        return _json(trying.dry_run(_unsaved(request), request.user))


def _unsaved(request, pk=None):
    """The rule that was sent, as it would be saved."""
    sent = read(request, Rule)
    try:
        validate_condition(sent.condition)
    except ValidationError as error:
        raise Invalid('; '.join(error.messages)) from error
    return DiscoveryRule(pk=pk, **msgspec.structs.asdict(sent))


def _json(trial):
    return HttpResponse(msgspec.json.encode(trial), content_type='application/json')
