"""The preflight of a machine, over REST."""

from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.response import Response

from users.models import Token

from ... import preflight
from ...models import Machine, Profile
from ...views.preflight import ACTIONS, lookable
from ..refusals import moving
from ..serializers.preflight import PreflightSerializer

__all__ = ('PreflightMixin',)

PROFILE = OpenApiParameter(
    'profile', OpenApiTypes.INT64, description='ID of the profile that it would be built with; if not given, its own'
)


class MayLook(BasePermission):
    """Preview or build on machines; the view restricts its objects by the same two."""

    def has_permission(self, request, view):
        if request.method not in SAFE_METHODS and isinstance(request.auth, Token) and not request.auth.write_enabled:
            return False
        return any(request.user.has_perm(f'netbox_substruct.{name}_machine') for name in ACTIONS)


class PreflightMixin:
    """`machines/<id>/preflight/`."""

    @extend_schema(
        methods=['GET'],
        operation_id='substruct_machines_preflight',
        parameters=[PROFILE],
        responses={200: PreflightSerializer},
    )
    @extend_schema(
        methods=['POST'], operation_id='substruct_machines_preflight_ask', parameters=[PROFILE], request=None,
        responses={202: PreflightSerializer},
    )  # fmt: skip
    @action(
        detail=True,
        methods=['get', 'post'],
        permission_classes=[MayLook],
        filterset_class=None,  # "profile" would be the filter of the list
        pagination_class=None,
    )
    def preflight(self, request, pk):
        """
        Whether the machine would boot and its build would succeed, step by step. GET shows what is known, with what the
        boot servers last answered; POST asks them anew, and their answers are there some seconds later. Needs "preview"
        or "build" on the machine.
        """
        self.queryset = lookable(Machine.objects.select_related('device', 'virtual_machine', 'profile'), request.user)
        machine = self.get_object()
        profile = _profile(request)
        code = status.HTTP_200_OK
        if request.method == 'POST':
            with moving(self):
                preflight.ask(machine, user=request.user, profile=profile)
            code = status.HTTP_202_ACCEPTED
        report = preflight.look(machine, user=request.user, profile=profile)
        return Response(PreflightSerializer(report).data, status=code)


def _profile(request):
    """The profile that is asked about, if it is another than the machine's own."""
    value = request.query_params.get('profile')
    if not value:
        return None
    visible = Profile.objects.restrict(request.user, 'view')
    found = visible.filter(pk=int(value)).first() if value.isdecimal() and len(value) < 19 else None
    if found is None:
        raise ValidationError({'profile': [_('There is no such profile that you may view.')]})
    return found
