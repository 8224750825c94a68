"""Forms of tasks.  What becomes of a task is written by `lifecycle` alone, so it is in no form."""

from django import forms
from django.utils.translation import gettext_lazy as _

from netbox.forms import (
    NetBoxModelBulkEditForm,
    NetBoxModelFilterSetForm,
    NetBoxModelForm,
    NetBoxModelImportForm,
)
from utilities.forms import BOOLEAN_WITH_BLANK_CHOICES
from utilities.forms.fields import (
    CSVChoiceField,
    CSVModelChoiceField,
    DynamicModelChoiceField,
    DynamicModelMultipleChoiceField,
    JSONField,
    TagFilterField,
)
from utilities.forms.rendering import FieldSet
from utilities.forms.widgets import DateTimePicker

from ..choices import TaskKindChoices, TaskStateChoices
from ..models import BootServer, Build, Machine, Task
from .machines import CSVMachineField

__all__ = (
    'TaskBulkEditForm',
    'TaskFilterForm',
    'TaskForm',
    'TaskImportForm',
)


class TaskForm(NetBoxModelForm):
    boot_server = DynamicModelChoiceField(label=_('Boot server'), queryset=BootServer.objects.all())
    machine = DynamicModelChoiceField(label=_('Machine'), queryset=Machine.objects.all(), required=False, selector=True)
    build = DynamicModelChoiceField(
        label=_('Build'), queryset=Build.objects.all(), required=False, query_params={'machine_id': '$machine'}
    )
    parameters = JSONField(
        label=_('Parameters'), required=False, help_text=Task._meta.get_field('parameters').help_text
    )
    not_before = forms.DateTimeField(label=_('Not before'), required=False, widget=DateTimePicker())

    fieldsets = (
        FieldSet('boot_server', 'kind', 'machine', 'build', 'tags', name=_('Task')),
        FieldSet('parameters', 'not_before', 'max_attempts', name=_('What to Do, and When')),
    )

    class Meta:
        model = Task
        fields = ('boot_server', 'kind', 'machine', 'build', 'parameters', 'not_before', 'max_attempts', 'tags')

    def clean_parameters(self):
        return self.cleaned_data['parameters'] or {}


class TaskBulkEditForm(NetBoxModelBulkEditForm):
    boot_server = DynamicModelChoiceField(label=_('Boot server'), queryset=BootServer.objects.all(), required=False)
    not_before = forms.DateTimeField(label=_('Not before'), required=False, widget=DateTimePicker())
    max_attempts = forms.IntegerField(label=_('Attempts allowed'), min_value=1, max_value=100, required=False)

    model = Task
    fieldsets = (FieldSet('boot_server', 'not_before', 'max_attempts'),)
    nullable_fields = ('not_before',)


class TaskImportForm(NetBoxModelImportForm):
    boot_server = CSVModelChoiceField(
        label=_('Boot server'),
        queryset=BootServer.objects.all(),
        to_field_name='name',
        help_text=_('Name of the boot server'),
    )
    kind = CSVChoiceField(label=_('Kind'), choices=TaskKindChoices)
    machine = CSVMachineField(required=False)
    build = CSVModelChoiceField(
        label=_('Build'), queryset=Build.objects.all(), required=False, help_text=_('ID of the build')
    )
    parameters = JSONField(label=_('Parameters'), required=False, help_text=_('A JSON object'))
    max_attempts = forms.IntegerField(label=_('Attempts allowed'), required=False, min_value=1, max_value=100)

    class Meta:
        model = Task
        fields = ('boot_server', 'kind', 'machine', 'build', 'parameters', 'not_before', 'max_attempts', 'tags')

    def clean_parameters(self):
        return self.cleaned_data['parameters'] or {}

    def clean_max_attempts(self):
        return self.cleaned_data['max_attempts'] or Task._meta.get_field('max_attempts').default


class TaskFilterForm(NetBoxModelFilterSetForm):
    model = Task
    fieldsets = (
        FieldSet('q', 'filter_id', 'tag'),
        FieldSet('boot_server_id', 'kind', 'machine_id', 'build_id', 'state', 'open', name=_('Task')),
    )

    boot_server_id = DynamicModelMultipleChoiceField(
        label=_('Boot server'), queryset=BootServer.objects.all(), required=False
    )
    kind = forms.MultipleChoiceField(label=_('Kind'), choices=TaskKindChoices, required=False)
    machine_id = DynamicModelMultipleChoiceField(label=_('Machine'), queryset=Machine.objects.all(), required=False)
    build_id = DynamicModelMultipleChoiceField(label=_('Build'), queryset=Build.objects.all(), required=False)
    state = forms.MultipleChoiceField(label=_('State'), choices=TaskStateChoices, required=False)
    open = forms.NullBooleanField(
        label=_('Still to be done'), required=False, widget=forms.Select(choices=BOOLEAN_WITH_BLANK_CHOICES)
    )
    tag = TagFilterField(model)
