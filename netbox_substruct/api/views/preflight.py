"""The preflight of a machine, over REST."""

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.response import Response

from users.models import Token

from ... import preflight
from ...models import Machine
from ...views.preflight import ACTIONS, lookable
from ..refusals import moving
from ..serializers.preflight import PreflightSerializer

__all__ = ('PreflightMixin',)


class MayLook(BasePermission):
    """Preview or build on machines; the view restricts its objects by the same two."""

    def has_permission(self, request, view):
        if request.method not in SAFE_METHODS and isinstance(request.auth, Token) and not request.auth.write_enabled:
            return False
        return any(request.user.has_perm(f'netbox_substruct.{name}_machine') for name in ACTIONS)


class PreflightMixin:
    """`machines/<id>/preflight/`."""

    @extend_schema(methods=['GET'], operation_id='substruct_machines_preflight', responses={200: PreflightSerializer})
    @extend_schema(
        methods=['POST'], operation_id='substruct_machines_preflight_ask', request=None,
        responses={202: PreflightSerializer},
    )  # fmt: skip
    @action(detail=True, methods=['get', 'post'], permission_classes=[MayLook])
    def preflight(self, request, pk):
        """
        Whether the machine would boot and its build would succeed, step by step. GET shows what is known, with what the
        boot servers last answered; POST asks them anew, and their answers are there some seconds later. Needs "preview"
        or "build" on the machine.
        """
        self.queryset = lookable(Machine.objects.select_related('device', 'virtual_machine', 'profile'), request.user)
        machine = self.get_object()
        code = status.HTTP_200_OK
        if request.method == 'POST':
            with moving(self):
                preflight.ask(machine, user=request.user)
            code = status.HTTP_202_ACCEPTED
        return Response(PreflightSerializer(preflight.look(machine, user=request.user)).data, status=code)
