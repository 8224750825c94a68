"""Forms of facts.  They are added, never edited: a record that can be changed proves nothing."""

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from netbox.forms import NetBoxModelFilterSetForm, NetBoxModelForm, NetBoxModelImportForm
from utilities.forms.fields import (
    CSVChoiceField,
    DynamicModelChoiceField,
    DynamicModelMultipleChoiceField,
    JSONField,
    TagFilterField,
)
from utilities.forms.rendering import FieldSet
from utilities.forms.widgets import DateTimePicker

from ..choices import FactSourceChoices
from ..models import FactSet, Machine
from .machines import CSVMachineField

__all__ = (
    'FactSetFilterForm',
    'FactSetForm',
    'FactSetImportForm',
)


class FactSetForm(NetBoxModelForm):
    machine = DynamicModelChoiceField(label=_('Machine'), queryset=Machine.objects.all(), selector=True)
    collected = forms.DateTimeField(label=_('Collected'), initial=timezone.now, widget=DateTimePicker())
    data = JSONField(label=_('Facts'), help_text=_('A JSON object'))

    fieldsets = (
        FieldSet('machine', 'source', 'collected', 'format_version', 'tags', name=_('Fact Set')),
        FieldSet('data', name=_('Facts')),
    )

    class Meta:
        model = FactSet
        fields = ('machine', 'source', 'collected', 'format_version', 'data', 'tags')


class FactSetImportForm(NetBoxModelImportForm):
    machine = CSVMachineField()
    source = CSVChoiceField(label=_('Source'), choices=FactSourceChoices)
    collected = forms.DateTimeField(label=_('Collected'), required=False, help_text=_('If empty: now'))
    format_version = forms.IntegerField(label=_('Format version'), required=False, min_value=1)
    data = JSONField(label=_('Facts'), help_text=_('A JSON object'))

    class Meta:
        model = FactSet
        fields = ('machine', 'source', 'collected', 'format_version', 'data', 'tags')

    def clean_collected(self):
        return self.cleaned_data['collected'] or timezone.now()

    def clean_format_version(self):
        return self.cleaned_data['format_version'] or 1


class FactSetFilterForm(NetBoxModelFilterSetForm):
    model = FactSet
    fieldsets = (
        FieldSet('q', 'filter_id', 'tag'),
        FieldSet('machine_id', 'source', name=_('Facts')),
    )

    machine_id = DynamicModelMultipleChoiceField(label=_('Machine'), queryset=Machine.objects.all(), required=False)
    source = forms.MultipleChoiceField(label=_('Source'), choices=FactSourceChoices, required=False)
    tag = TagFilterField(model)
