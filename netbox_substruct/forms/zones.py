"""Forms of zones."""

from django import forms
from django.contrib.postgres.forms import SimpleArrayField
from django.utils.translation import gettext_lazy as _

from netbox.forms import (
    PrimaryModelBulkEditForm,
    PrimaryModelFilterSetForm,
    PrimaryModelForm,
    PrimaryModelImportForm,
)
from utilities.forms import BOOLEAN_WITH_BLANK_CHOICES, add_blank_choice
from utilities.forms.fields import (
    ChoiceField,
    CSVChoiceField,
    CSVModelChoiceField,
    DynamicModelChoiceField,
    DynamicModelMultipleChoiceField,
    TagFilterField,
)
from utilities.forms.rendering import FieldSet

from ..choices import ZoneUpdateMethodChoices
from ..models import BootServer, Zone
from .fields import CSVDefaultsMixin

__all__ = ('ZoneBulkEditForm', 'ZoneFilterForm', 'ZoneForm', 'ZoneImportForm')

SOA_FIELDS = ('soa_mname', 'soa_rname', 'soa_refresh', 'soa_retry', 'soa_expire', 'soa_minimum')


def _help(name):
    return Zone._meta.get_field(name).help_text


class ZoneForm(PrimaryModelForm):
    boot_server = DynamicModelChoiceField(
        label=_('Boot server'), queryset=BootServer.objects.all(), required=False, help_text=_help('boot_server')
    )
    update_method = ChoiceField(
        label=_('Update method'),
        choices=ZoneUpdateMethodChoices,
        initial=ZoneUpdateMethodChoices.METHOD_RFC2136,
    )

    fieldsets = (
        FieldSet('name', 'name_servers', 'ttl', 'description', 'tags', name=_('Zone')),
        FieldSet('boot_server', 'update_method', 'server', 'credential', name=_('Updates')),
        FieldSet(*SOA_FIELDS, name=_('Start of Authority')),
    )

    class Meta:
        model = Zone
        fields = (
            'name', 'boot_server', 'update_method', 'server', 'credential', 'name_servers', 'ttl', *SOA_FIELDS,
            'description', 'owner', 'comments', 'tags',
        )  # fmt: skip
        help_texts = {'name_servers': _('Names for the zone’s NS records, separated by commas.')}


class ZoneBulkEditForm(PrimaryModelBulkEditForm):
    boot_server = DynamicModelChoiceField(label=_('Boot server'), queryset=BootServer.objects.all(), required=False)
    update_method = ChoiceField(
        label=_('Update method'), choices=add_blank_choice(ZoneUpdateMethodChoices), required=False
    )
    server = forms.CharField(label=_('Server'), max_length=253, required=False)
    credential = forms.CharField(label=_('Credential'), max_length=100, required=False, help_text=_help('credential'))
    name_servers = SimpleArrayField(forms.CharField(max_length=253), label=_('Name servers'), required=False)
    ttl = forms.IntegerField(label=_('TTL'), min_value=0, required=False)
    soa_mname = forms.CharField(label=_('Primary name server'), max_length=253, required=False)
    soa_rname = forms.CharField(label=_('Responsible mailbox'), max_length=253, required=False)
    soa_refresh = forms.IntegerField(label=_('SOA refresh'), min_value=0, required=False)
    soa_retry = forms.IntegerField(label=_('SOA retry'), min_value=0, required=False)
    soa_expire = forms.IntegerField(label=_('SOA expire'), min_value=0, required=False)
    soa_minimum = forms.IntegerField(label=_('SOA minimum'), min_value=0, required=False)

    model = Zone
    fieldsets = (
        FieldSet('name_servers', 'ttl', 'description'),
        FieldSet('boot_server', 'update_method', 'server', 'credential', name=_('Updates')),
        FieldSet(*SOA_FIELDS, name=_('Start of Authority')),
    )
    nullable_fields = (
        'boot_server', 'server', 'credential', 'name_servers', 'soa_mname', 'soa_rname', 'description', 'comments',
    )  # fmt: skip


class ZoneImportForm(CSVDefaultsMixin, PrimaryModelImportForm):
    defaulted = ('ttl', 'soa_refresh', 'soa_retry', 'soa_expire', 'soa_minimum')

    boot_server = CSVModelChoiceField(
        label=_('Boot server'),
        queryset=BootServer.objects.all(),
        required=False,
        to_field_name='name',
        help_text=_('Name of the boot server that keeps the zone'),
    )
    update_method = CSVChoiceField(
        label=_('Update method'),
        choices=ZoneUpdateMethodChoices,
        required=False,
        help_text=_('How records reach the name server'),
    )

    class Meta:
        model = Zone
        fields = (
            'name', 'boot_server', 'update_method', 'server', 'credential', 'name_servers', 'ttl', *SOA_FIELDS,
            'description', 'owner', 'comments', 'tags',
        )  # fmt: skip
        help_texts = {
            'name_servers': _('Names separated by commas, in double quotes'),
            'soa_rname': _('SOA RNAME, for example dns@example.com'),
        }


class ZoneFilterForm(PrimaryModelFilterSetForm):
    model = Zone
    fieldsets = (
        FieldSet('q', 'filter_id', 'tag'),
        FieldSet('name', 'reverse', 'name_servers', 'ttl', name=_('Attributes')),
        FieldSet('boot_server_id', 'update_method', 'server', 'credential', name=_('Updates')),
        FieldSet('owner_group_id', 'owner_id', name=_('Ownership')),
    )
    selector_fields = ('filter_id', 'q', 'boot_server_id')

    name = forms.CharField(label=_('Name'), required=False)
    reverse = forms.NullBooleanField(
        label=_('Reverse zone'), required=False, widget=forms.Select(choices=BOOLEAN_WITH_BLANK_CHOICES)
    )
    name_servers = forms.CharField(label=_('Name server'), required=False)
    ttl = forms.IntegerField(label=_('TTL'), required=False)
    boot_server_id = DynamicModelMultipleChoiceField(
        label=_('Boot server'), queryset=BootServer.objects.all(), required=False, null_option='None'
    )
    update_method = forms.MultipleChoiceField(label=_('Update method'), choices=ZoneUpdateMethodChoices, required=False)
    server = forms.CharField(label=_('Server'), required=False)
    credential = forms.CharField(label=_('Credential'), required=False)
    tag = TagFilterField(model)
