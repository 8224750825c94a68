"""Forms of discovery rules."""

from django import forms
from django.utils.translation import gettext_lazy as _

from dcim.models import DeviceRole, DeviceType, Site
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

from ..models import DiscoveryRule, Profile
from .fields import CSVBooleanField, CSVDefaultsMixin

__all__ = ('DiscoveryRuleBulkEditForm', 'DiscoveryRuleFilterForm', 'DiscoveryRuleForm', 'DiscoveryRuleImportForm')


def _help(name):
    return DiscoveryRule._meta.get_field(name).help_text


class DiscoveryRuleForm(PrimaryModelForm):
    condition = JSONField(label=_('Condition'), required=False, help_text=_help('condition'))
    role = DynamicModelChoiceField(label=_('Role'), queryset=DeviceRole.objects.all(), required=False)
    device_type = DynamicModelChoiceField(
        label=_('Device type'),
        queryset=DeviceType.objects.all(),
        required=False,
        context={'parent': 'manufacturer'},
        selector=True,
        help_text=_help('device_type'),
    )
    site = DynamicModelChoiceField(
        label=_('Site'), queryset=Site.objects.all(), required=False, help_text=_help('site')
    )
    profile = DynamicModelChoiceField(label=_('Profile'), queryset=Profile.objects.all(), required=False)

    fieldsets = (
        FieldSet('name', 'enabled', 'priority', 'description', 'tags', name=_('Discovery Rule')),
        FieldSet('condition', 'limit', name=_('Which Machines')),
        FieldSet(
            'host_name_template', 'role', 'device_type', 'site', 'profile', 'adopt_at_once', 'build_at_once',
            name=_('What They Become'),
        ),
    )  # fmt: skip

    class Meta:
        model = DiscoveryRule
        fields = (
            'name', 'enabled', 'priority', 'condition', 'host_name_template', 'role', 'device_type', 'site', 'profile',
            'limit', 'adopt_at_once', 'build_at_once', 'description', 'owner', 'comments', 'tags',
        )  # fmt: skip

    def clean_condition(self):
        return self.cleaned_data['condition'] or {}


class DiscoveryRuleBulkEditForm(PrimaryModelBulkEditForm):
    enabled = forms.NullBooleanField(label=_('Enabled'), required=False, widget=BulkEditNullBooleanSelect())
    priority = forms.IntegerField(
        label=_('Priority'), min_value=0, max_value=32767, required=False, help_text=_help('priority')
    )
    condition = JSONField(label=_('Condition'), required=False, help_text=_help('condition'))
    host_name_template = forms.CharField(label=_('Host name template'), max_length=200, required=False)
    role = DynamicModelChoiceField(label=_('Role'), queryset=DeviceRole.objects.all(), required=False)
    device_type = DynamicModelChoiceField(
        label=_('Device type'),
        queryset=DeviceType.objects.all(),
        required=False,
        context={'parent': 'manufacturer'},
    )
    site = DynamicModelChoiceField(label=_('Site'), queryset=Site.objects.all(), required=False)
    profile = DynamicModelChoiceField(label=_('Profile'), queryset=Profile.objects.all(), required=False)
    limit = forms.IntegerField(label=_('Limit'), min_value=0, required=False, help_text=_help('limit'))
    adopt_at_once = forms.NullBooleanField(label=_('Adopt at once'), required=False, widget=BulkEditNullBooleanSelect())
    build_at_once = forms.NullBooleanField(label=_('Build at once'), required=False, widget=BulkEditNullBooleanSelect())

    model = DiscoveryRule
    fieldsets = (
        FieldSet('enabled', 'priority', 'description'),
        FieldSet('condition', 'limit', name=_('Which Machines')),
        FieldSet(
            'host_name_template', 'role', 'device_type', 'site', 'profile', 'adopt_at_once', 'build_at_once',
            name=_('What They Become'),
        ),
    )  # fmt: skip
    nullable_fields = (
        'condition', 'host_name_template', 'role', 'device_type', 'site', 'profile', 'limit', 'description', 'comments',
    )  # fmt: skip


class DiscoveryRuleImportForm(CSVDefaultsMixin, PrimaryModelImportForm):
    defaulted = ('enabled', 'priority', 'adopt_at_once', 'build_at_once')

    enabled = CSVBooleanField(label=_('Enabled'), help_text=_('true or false; true if empty'))
    adopt_at_once = CSVBooleanField(label=_('Adopt at once'), help_text=_('true or false; false if empty'))
    build_at_once = CSVBooleanField(label=_('Build at once'), help_text=_('true or false; false if empty'))
    condition = JSONField(label=_('Condition'), required=False, help_text=_help('condition'))
    role = CSVModelChoiceField(
        label=_('Role'),
        queryset=DeviceRole.objects.all(),
        required=False,
        to_field_name='name',
        help_text=_('Name of the device role'),
    )
    device_type = CSVModelChoiceField(
        label=_('Device type'),
        queryset=DeviceType.objects.all(),
        required=False,
        to_field_name='model',
        help_text=_('Model of the device type'),
    )
    site = CSVModelChoiceField(
        label=_('Site'),
        queryset=Site.objects.all(),
        required=False,
        to_field_name='name',
        help_text=_('Name of the site'),
    )
    profile = CSVModelChoiceField(
        label=_('Profile'),
        queryset=Profile.objects.all(),
        required=False,
        to_field_name='name',
        help_text=_('Name of the profile'),
    )

    class Meta:
        model = DiscoveryRule
        fields = (
            'name', 'enabled', 'priority', 'condition', 'host_name_template', 'role', 'device_type', 'site', 'profile',
            'limit', 'adopt_at_once', 'build_at_once', 'description', 'owner', 'comments', 'tags',
        )  # fmt: skip

    def clean_condition(self):
        return self.cleaned_data['condition'] or {}


class DiscoveryRuleFilterForm(PrimaryModelFilterSetForm):
    model = DiscoveryRule
    fieldsets = (
        FieldSet('q', 'filter_id', 'tag'),
        FieldSet('name', 'enabled', 'priority', 'adopt_at_once', 'build_at_once', name=_('Attributes')),
        FieldSet('role_id', 'device_type_id', 'site_id', 'profile_id', name=_('What They Become')),
        FieldSet('owner_group_id', 'owner_id', name=_('Ownership')),
    )
    selector_fields = ('filter_id', 'q', 'site_id', 'profile_id')

    name = forms.CharField(label=_('Name'), required=False)
    enabled = forms.NullBooleanField(
        label=_('Enabled'), required=False, widget=forms.Select(choices=BOOLEAN_WITH_BLANK_CHOICES)
    )
    priority = forms.IntegerField(label=_('Priority'), required=False)
    adopt_at_once = forms.NullBooleanField(
        label=_('Adopt at once'), required=False, widget=forms.Select(choices=BOOLEAN_WITH_BLANK_CHOICES)
    )
    build_at_once = forms.NullBooleanField(
        label=_('Build at once'), required=False, widget=forms.Select(choices=BOOLEAN_WITH_BLANK_CHOICES)
    )
    role_id = DynamicModelMultipleChoiceField(
        label=_('Role'), queryset=DeviceRole.objects.all(), required=False, null_option='None'
    )
    device_type_id = DynamicModelMultipleChoiceField(
        label=_('Device type'), queryset=DeviceType.objects.all(), required=False, null_option='None'
    )
    site_id = DynamicModelMultipleChoiceField(
        label=_('Site'), queryset=Site.objects.all(), required=False, null_option='None'
    )
    profile_id = DynamicModelMultipleChoiceField(
        label=_('Profile'), queryset=Profile.objects.all(), required=False, null_option='None'
    )
    tag = TagFilterField(model)
