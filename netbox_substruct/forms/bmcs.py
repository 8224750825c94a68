"""Forms of BMCs."""

from django import forms
from django.utils.translation import gettext_lazy as _

from netbox.forms import (
    PrimaryModelBulkEditForm,
    PrimaryModelFilterSetForm,
    PrimaryModelForm,
    PrimaryModelImportForm,
)
from utilities.forms import add_blank_choice
from utilities.forms.fields import (
    CSVChoiceField,
    DynamicModelChoiceField,
    DynamicModelMultipleChoiceField,
    TagFilterField,
)
from utilities.forms.rendering import FieldSet

from ..choices import BMCProtocolChoices
from ..models import BMC, Machine
from .machines import CSVMachineField

__all__ = (
    'BMCBulkEditForm',
    'BMCFilterForm',
    'BMCForm',
    'BMCImportForm',
)


class BMCForm(PrimaryModelForm):
    machine = DynamicModelChoiceField(label=_('Machine'), queryset=Machine.objects.all(), selector=True)

    fieldsets = (
        FieldSet('machine', 'protocol', 'address', 'port', 'credential', 'description', 'tags', name=_('BMC')),
    )

    class Meta:
        model = BMC
        fields = (
            'machine',
            'protocol',
            'address',
            'port',
            'credential',
            'description',
            'owner',
            'comments',
            'tags',
        )


class BMCBulkEditForm(PrimaryModelBulkEditForm):
    protocol = forms.ChoiceField(label=_('Protocol'), choices=add_blank_choice(BMCProtocolChoices), required=False)
    port = forms.IntegerField(label=_('Port'), min_value=1, max_value=65535, required=False)
    credential = forms.CharField(label=_('Credential'), max_length=100, required=False)

    model = BMC
    fieldsets = (FieldSet('protocol', 'port', 'credential', 'description'),)
    nullable_fields = ('port', 'description', 'comments')


class BMCImportForm(PrimaryModelImportForm):
    machine = CSVMachineField()
    protocol = CSVChoiceField(label=_('Protocol'), choices=BMCProtocolChoices)

    class Meta:
        model = BMC
        fields = ('machine', 'protocol', 'address', 'port', 'credential', 'description', 'owner', 'comments', 'tags')


class BMCFilterForm(PrimaryModelFilterSetForm):
    model = BMC
    fieldsets = (
        FieldSet('q', 'filter_id', 'tag'),
        FieldSet('machine_id', 'protocol', 'address', 'credential', name=_('BMC')),
        FieldSet('owner_group_id', 'owner_id', name=_('Ownership')),
    )

    machine_id = DynamicModelMultipleChoiceField(label=_('Machine'), queryset=Machine.objects.all(), required=False)
    protocol = forms.MultipleChoiceField(label=_('Protocol'), choices=BMCProtocolChoices, required=False)
    address = forms.CharField(label=_('Address'), required=False)
    credential = forms.CharField(label=_('Credential'), required=False)
    tag = TagFilterField(model)
