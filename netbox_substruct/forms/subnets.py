"""Forms of subnets."""

from django import forms
from django.utils.translation import gettext_lazy as _

from ipam.models import VLAN, VRF, IPRange, Prefix
from netbox.forms import (
    PrimaryModelBulkEditForm,
    PrimaryModelFilterSetForm,
    PrimaryModelForm,
    PrimaryModelImportForm,
)
from utilities.forms import BOOLEAN_WITH_BLANK_CHOICES
from utilities.forms.fields import (
    CSVModelChoiceField,
    DynamicModelChoiceField,
    DynamicModelMultipleChoiceField,
    JSONField,
    TagFilterField,
)
from utilities.forms.rendering import FieldSet
from utilities.forms.widgets import BulkEditNullBooleanSelect

from ..models import BootServer, Subnet
from .fields import AddressListField, CSVBooleanField, InheritedBooleanSelect

__all__ = ('SubnetBulkEditForm', 'SubnetFilterForm', 'SubnetForm', 'SubnetImportForm')


def _help(name):
    return Subnet._meta.get_field(name).help_text


class SubnetForm(PrimaryModelForm):
    prefix = DynamicModelChoiceField(
        label=_('Prefix'), queryset=Prefix.objects.all(), selector=True, context={'parent': 'vrf'}
    )
    boot_server = DynamicModelChoiceField(
        label=_('Boot server'), queryset=BootServer.objects.all(), required=False, help_text=_help('boot_server')
    )
    lease_range = DynamicModelChoiceField(
        label=_('Lease range'),
        queryset=IPRange.objects.all(),
        required=False,
        selector=True,
        help_text=_help('lease_range'),
    )
    name_servers = AddressListField(
        label=_('Name servers'),
        required=False,
        help_text=_('Addresses separated by commas, in the order in which machines ask them.'),
    )
    ntp_servers = AddressListField(
        label=_('NTP servers'), required=False, help_text=_('Addresses separated by commas.')
    )
    dhcp_options = JSONField(label=_('DHCP options'), required=False, help_text=_help('dhcp_options'))

    fieldsets = (
        FieldSet('prefix', 'boot_server', 'description', 'tags', name=_('Subnet')),
        FieldSet('dhcp_enabled', 'discovery_enabled', 'lease_range', 'lease_time', name=_('DHCP and Discovery')),
        FieldSet('gateway', 'name_servers', 'ntp_servers', 'domain', 'dhcp_options', name=_('Handed to Machines')),
    )

    class Meta:
        model = Subnet
        fields = (
            'prefix', 'boot_server', 'gateway', 'name_servers', 'ntp_servers', 'domain', 'lease_range', 'lease_time',
            'dhcp_options', 'dhcp_enabled', 'discovery_enabled', 'description', 'owner', 'comments', 'tags',
        )  # fmt: skip
        widgets = {'dhcp_enabled': InheritedBooleanSelect(), 'discovery_enabled': InheritedBooleanSelect()}

    def clean_dhcp_options(self):
        return self.cleaned_data['dhcp_options'] or {}


class SubnetBulkEditForm(PrimaryModelBulkEditForm):
    boot_server = DynamicModelChoiceField(label=_('Boot server'), queryset=BootServer.objects.all(), required=False)
    dhcp_enabled = forms.NullBooleanField(label=_('DHCP'), required=False, widget=BulkEditNullBooleanSelect())
    discovery_enabled = forms.NullBooleanField(label=_('Discovery'), required=False, widget=BulkEditNullBooleanSelect())
    lease_time = forms.IntegerField(label=_('Lease time'), required=False, min_value=60, help_text=_('Seconds'))
    name_servers = AddressListField(label=_('Name servers'), required=False)
    ntp_servers = AddressListField(label=_('NTP servers'), required=False)
    domain = forms.CharField(label=_('Domain'), max_length=253, required=False)
    dhcp_options = JSONField(label=_('DHCP options'), required=False, help_text=_help('dhcp_options'))

    model = Subnet
    fieldsets = (
        FieldSet('boot_server', 'description'),
        FieldSet('dhcp_enabled', 'discovery_enabled', 'lease_time', name=_('DHCP and Discovery')),
        FieldSet('name_servers', 'ntp_servers', 'domain', 'dhcp_options', name=_('Handed to Machines')),
    )
    nullable_fields = (
        'boot_server', 'dhcp_enabled', 'discovery_enabled', 'lease_time', 'name_servers', 'ntp_servers', 'domain',
        'dhcp_options', 'description', 'comments',
    )  # fmt: skip


class SubnetImportForm(PrimaryModelImportForm):
    vrf = CSVModelChoiceField(
        label=_('VRF'),
        queryset=VRF.objects.all(),
        required=False,
        to_field_name='name',
        help_text=_('VRF of the prefix; the global table if empty'),
    )
    prefix = CSVModelChoiceField(
        label=_('Prefix'),
        queryset=Prefix.objects.all(),
        to_field_name='prefix',
        help_text=_('A prefix that is in NetBox already, for example 10.0.0.0/24'),
    )
    boot_server = CSVModelChoiceField(
        label=_('Boot server'),
        queryset=BootServer.objects.all(),
        required=False,
        to_field_name='name',
        help_text=_('Name of the only boot server that serves the subnet'),
    )
    lease_range = CSVModelChoiceField(
        label=_('Lease range'),
        queryset=IPRange.objects.all(),
        required=False,
        to_field_name='start_address',
        help_text=_('First address of an IP range in the same VRF, with its mask, for example 10.0.0.100/24'),
    )
    name_servers = AddressListField(
        label=_('Name servers'), required=False, help_text=_('Addresses separated by commas, in double quotes')
    )
    ntp_servers = AddressListField(
        label=_('NTP servers'), required=False, help_text=_('Addresses separated by commas, in double quotes')
    )
    dhcp_options = JSONField(label=_('DHCP options'), required=False, help_text=_('A JSON object'))
    dhcp_enabled = CSVBooleanField(label=_('DHCP'), required=False, help_text=_('true, false, or empty to inherit'))
    discovery_enabled = CSVBooleanField(
        label=_('Discovery'), required=False, help_text=_('true, false, or empty to inherit')
    )

    class Meta:
        model = Subnet
        fields = (
            'vrf', 'prefix', 'boot_server', 'gateway', 'name_servers', 'ntp_servers', 'domain', 'lease_range',
            'lease_time', 'dhcp_options', 'dhcp_enabled', 'discovery_enabled', 'description', 'owner', 'comments',
            'tags',
        )  # fmt: skip

    def __init__(self, data=None, *args, **kwargs):
        super().__init__(data, *args, **kwargs)
        if not data:
            return
        # The same prefix may stand in several VRFs, so it is looked for in one of them only.
        if vrf := data.get('vrf'):
            params = {f'vrf__{self.fields["vrf"].to_field_name}': vrf}
        elif 'vrf' in data or not self.instance.pk:
            params = {'vrf__isnull': True}
        else:
            params = {'vrf': self.instance.prefix.vrf_id}
        for name in ('prefix', 'lease_range'):
            if name in self.fields:
                self.fields[name].queryset = self.fields[name].queryset.filter(**params)

    def clean_dhcp_options(self):
        return self.cleaned_data['dhcp_options'] or {}


class SubnetFilterForm(PrimaryModelFilterSetForm):
    model = Subnet
    fieldsets = (
        FieldSet('q', 'filter_id', 'tag'),
        FieldSet('within_include', 'vrf_id', 'vlan_id', name=_('Prefix')),
        FieldSet('boot_server_id', 'dhcp_enabled', 'discovery_enabled', 'domain', 'lease_time', name=_('Attributes')),
        FieldSet('owner_group_id', 'owner_id', name=_('Ownership')),
    )
    selector_fields = ('filter_id', 'q', 'within_include', 'vrf_id', 'boot_server_id')

    within_include = forms.CharField(
        label=_('Search within'),
        required=False,
        widget=forms.TextInput(attrs={'placeholder': 'Prefix'}),
    )
    vrf_id = DynamicModelMultipleChoiceField(
        label=_('VRF'), queryset=VRF.objects.all(), required=False, null_option='Global'
    )
    vlan_id = DynamicModelMultipleChoiceField(label=_('VLAN'), queryset=VLAN.objects.all(), required=False)
    boot_server_id = DynamicModelMultipleChoiceField(
        label=_('Boot server'), queryset=BootServer.objects.all(), required=False, null_option='None'
    )
    dhcp_enabled = forms.NullBooleanField(
        label=_('DHCP'), required=False, widget=forms.Select(choices=BOOLEAN_WITH_BLANK_CHOICES)
    )
    discovery_enabled = forms.NullBooleanField(
        label=_('Discovery'), required=False, widget=forms.Select(choices=BOOLEAN_WITH_BLANK_CHOICES)
    )
    domain = forms.CharField(label=_('Domain'), required=False)
    lease_time = forms.IntegerField(label=_('Lease time'), required=False)
    tag = TagFilterField(model)
