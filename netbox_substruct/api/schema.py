"""How the REST API is described in NetBox's OpenAPI schema: every answer that a request can get, errors too.

NetBox's own description leaves most errors out, and what a list of objects or `?background=true` is answered with.
View sets inherit from the class at the end, and name only what is particular to an action of theirs.
"""

from typing import Any

from django.db import DataError
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiResponse
from rest_framework.exceptions import ValidationError

from core.api.schema import NetBoxAutoSchema
from netbox.api.fields import ChoiceField
from netbox.api.viewsets import NetBoxModelViewSet

from .serializers.bulk import BackgroundSerializer
from .serializers.machines import ProblemSerializer

__all__ = ('ModelViewSet', 'Schema')

BULK = ('bulk_update', 'bulk_partial_update', 'bulk_destroy')
# Actions that take an object or a list of them, and answer in kind.
ONE_OR_MANY = ('create', 'register')


# Errors by field, for each entry of a list, or in one sentence.
INVALID = {
    'oneOf': [
        {'type': 'object', 'additionalProperties': {}},
        {'type': 'array', 'items': {}},
    ]
}


class Schema(NetBoxAutoSchema):
    """What `extend_schema` of an action says comes first; this adds what holds for all."""

    def _map_serializer_field(self, field: Any, direction: str, bypass_extensions: bool = False) -> Any:
        found = super()._map_serializer_field(field, direction, bypass_extensions)
        if isinstance(field, ChoiceField) and direction == 'response' and field.allow_blank:
            return {**found, 'nullable': True}  # NetBox answers null for an empty choice
        return found

    def _get_request_for_media_type(self, serializer: Any, direction: str = 'request') -> Any:
        schema, required = super()._get_request_for_media_type(serializer, direction)
        if self._takes_one_or_many and schema is not None and 'oneOf' not in schema:
            schema = _one_or_many(schema)
        return schema, required

    def _get_response_bodies(self, direction: str = 'response') -> Any:
        bodies = super()._get_response_bodies(direction=direction)
        if self._takes_one_or_many:
            for body in bodies['201'].get('content', {}).values():
                body['schema'] = _one_or_many(body['schema'])
            for body in bodies.get('400', {}).get('content', {}).values():
                # NetBox says "oneOf" of two that a short answer both is.
                body['schema'] = {'anyOf': body['schema'].get('oneOf', [body['schema']])}
        for code, response in self._usual().items():
            if code not in bodies:
                bodies[code] = self._get_response_for_code(response, code, direction=direction)
        return bodies

    @property
    def _takes_one_or_many(self) -> bool:
        return getattr(self.view, 'action', None) in ONE_OR_MANY

    def _usual(self) -> dict[str, OpenApiResponse]:
        """What any request of this kind may be answered with."""
        action, writes = getattr(self.view, 'action', None), self.method not in ('GET', 'HEAD')
        found = {
            '400': OpenApiResponse(INVALID, 'The request is not what it should be; the body says where.'),
            '403': OpenApiResponse(ProblemSerializer, 'Not logged in, or the user may not do this.'),
        }
        if '{id}' in self.path:
            found['404'] = OpenApiResponse(ProblemSerializer, 'There is no such object that the user may see.')
            if self.method in ('PUT', 'PATCH', 'DELETE'):
                found['412'] = OpenApiResponse(
                    ProblemSerializer, 'If-Match was sent, and the object has changed since.'
                )
        if self.method == 'DELETE':
            found['409'] = OpenApiResponse(ProblemSerializer, 'Other objects depend on it.')
        if action in BULK or self._takes_one_or_many:
            found['202'] = OpenApiResponse(BackgroundSerializer, 'A list, with "background": a job does it.')
        if writes:
            found['415'] = OpenApiResponse(ProblemSerializer, 'The form of the body is not one that is read.')
        return found


def _one_or_many(schema: Any) -> Any:
    return {'oneOf': [schema, {'type': 'array', 'items': schema}]}


class ModelViewSet(NetBoxModelViewSet):
    """For every view set of ours."""

    schema = Schema()

    def handle_exception(self, exc: Exception) -> Any:
        """A value that is right in form and that PostgreSQL cannot hold (a time zone 17 hours off) is bad, no crash."""
        if isinstance(exc, DataError):
            exc = ValidationError({'detail': _('A value is out of the range that the database can hold.')})
        return super().handle_exception(exc)
