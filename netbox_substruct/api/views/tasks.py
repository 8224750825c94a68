"""REST view sets of tasks."""

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.response import Response

from ... import filtersets
from ...lifecycle import tasks
from ...models import Task
from ..conditions import tagged, unchanged
from ..refusals import moving, permission
from ..schema import ModelViewSet
from ..serializers import TaskSerializer
from .builds import OBJECTS, OBJECTS_OF_BUILD
from .machines import CHANGED, REFUSED

__all__ = ('TaskViewSet',)

ANSWERS = {200: TaskSerializer, 412: CHANGED, 422: REFUSED}


class TaskViewSet(ModelViewSet):
    queryset = Task.objects.prefetch_related(*OBJECTS, *OBJECTS_OF_BUILD)
    serializer_class = TaskSerializer
    filterset_class = filtersets.TaskFilterSet

    def move(self, function):
        self.queryset = Task.objects.restrict(self.request.user, 'change')
        task = self.get_object()
        with moving(self):
            unchanged(self, task)
            function(task, user=self.request.user)
        return tagged(self, Response(TaskSerializer(task, context=self.get_serializer_context()).data), task)

    @extend_schema(operation_id='substruct_tasks_cancel', request=None, responses=ANSWERS)
    @action(detail=True, methods=['post'], permission_classes=[permission(POST='change')])
    def cancel(self, request, pk):
        """
        Take a task back. Needs "change" on the task.
        """
        return self.move(tasks.cancel)

    @extend_schema(operation_id='substruct_tasks_retry', request=None, responses=ANSWERS)
    @action(detail=True, methods=['post'], permission_classes=[permission(POST='change')])
    def retry(self, request, pk):
        """
        Let a failed task begin again. Needs "change" on the task.
        """
        return self.move(tasks.retry)
