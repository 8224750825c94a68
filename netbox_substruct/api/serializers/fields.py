"""JSON fields that say in the OpenAPI schema what they hold.  The models’ own validators check it."""

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

__all__ = ('InitrdsField', 'ObjectField', 'ObjectListField')


@extend_schema_field({'type': 'object', 'additionalProperties': {}})
class ObjectField(serializers.JSONField):
    """A JSON object."""


@extend_schema_field({'type': 'array', 'items': {}})
class ObjectListField(serializers.JSONField):
    """A JSON list."""


@extend_schema_field(
    {
        'type': 'array',
        'items': {
            'type': 'object',
            'properties': {
                'source': {'type': 'string', 'format': 'uri'},
                'sha256': {'type': 'string', 'pattern': '^[0-9a-f]{64}$'},
            },
            'required': ['source'],
            'additionalProperties': False,
        },
    }
)
class InitrdsField(serializers.JSONField):
    """The initial RAM disks of a boot image."""
