"""REST serializers of tasks."""

from netbox.api.fields import ChoiceField
from netbox.api.serializers import NetBoxModelSerializer

from ...choices import TaskKindChoices, TaskStateChoices
from ...models import Task
from .bootservers import BootServerSerializer
from .builds import BuildSerializer
from .machines import MachineSerializer

__all__ = ('TaskSerializer',)


class TaskSerializer(NetBoxModelSerializer):
    boot_server = BootServerSerializer(nested=True)
    kind = ChoiceField(choices=TaskKindChoices)
    machine = MachineSerializer(nested=True, required=False, allow_null=True, default=None)
    build = BuildSerializer(nested=True, required=False, allow_null=True, default=None)
    state = ChoiceField(choices=TaskStateChoices, read_only=True)

    class Meta:
        model = Task
        fields = (
            'id', 'url', 'display_url', 'display', 'boot_server', 'kind', 'machine', 'build', 'parameters',
            'not_before', 'max_attempts', 'state', 'attempts', 'claimed', 'claimed_by', 'lease_expires', 'finished',
            'answer', 'error', 'tags', 'custom_fields', 'created', 'last_updated',
        )  # fmt: skip
        brief_fields = ('id', 'url', 'display', 'kind', 'state')
        read_only_fields = ('attempts', 'claimed', 'claimed_by', 'lease_expires', 'finished', 'answer', 'error')
