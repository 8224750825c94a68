"""Forms of boot servers."""

from django import forms
from django.utils.translation import gettext_lazy as _

from dcim.models import Site
from ipam.models import Prefix
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
    CSVModelMultipleChoiceField,
    DynamicModelMultipleChoiceField,
    TagFilterField,
)
from utilities.forms.rendering import FieldSet

from ..choices import BootServerStatusChoices
from ..models import BootServer

__all__ = ('BootServerBulkEditForm', 'BootServerFilterForm', 'BootServerForm', 'BootServerImportForm')


class BootServerForm(PrimaryModelForm):
    status = ChoiceField(
        label=_('Status'),
        choices=BootServerStatusChoices,
        initial=BootServerStatusChoices.STATUS_ACTIVE,
        help_text=BootServer._meta.get_field('status').help_text,
    )
    sites = DynamicModelMultipleChoiceField(
        label=_('Sites'),
        queryset=Site.objects.all(),
        required=False,
        help_text=BootServer._meta.get_field('sites').help_text,
    )
    prefixes = DynamicModelMultipleChoiceField(
        label=_('Prefixes'),
        queryset=Prefix.objects.all(),
        required=False,
        selector=True,
        help_text=BootServer._meta.get_field('prefixes').help_text,
    )

    fieldsets = (
        FieldSet('name', 'status', 'base_url', 'description', 'tags', name=_('Boot Server')),
        FieldSet('sites', 'prefixes', name=_('What It Serves')),
    )

    class Meta:
        model = BootServer
        fields = ('name', 'status', 'base_url', 'sites', 'prefixes', 'description', 'owner', 'comments', 'tags')


class BootServerBulkEditForm(PrimaryModelBulkEditForm):
    status = ChoiceField(label=_('Status'), choices=add_blank_choice(BootServerStatusChoices), required=False)
    sites = DynamicModelMultipleChoiceField(label=_('Sites'), queryset=Site.objects.all(), required=False)
    prefixes = DynamicModelMultipleChoiceField(label=_('Prefixes'), queryset=Prefix.objects.all(), required=False)

    model = BootServer
    fieldsets = (
        FieldSet('status', 'description'),
        FieldSet('sites', 'prefixes', name=_('What It Serves')),
    )
    nullable_fields = ('sites', 'prefixes', 'description', 'comments')


class BootServerImportForm(PrimaryModelImportForm):
    status = CSVChoiceField(
        label=_('Status'), choices=BootServerStatusChoices, required=False, help_text=_('What you intend')
    )
    sites = CSVModelMultipleChoiceField(
        label=_('Sites'),
        queryset=Site.objects.all(),
        required=False,
        to_field_name='slug',
        help_text=_('Slugs of the sites it serves, separated by commas, in double quotes'),
    )
    prefixes = CSVModelMultipleChoiceField(
        label=_('Prefixes'),
        queryset=Prefix.objects.all(),
        required=False,
        to_field_name='prefix',
        help_text=_('Prefixes of the global table that it serves, separated by commas, in double quotes'),
    )

    class Meta:
        model = BootServer
        fields = ('name', 'status', 'base_url', 'sites', 'prefixes', 'description', 'owner', 'comments', 'tags')

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # A prefix as text is unique within one VRF only; those of other VRFs are added on the page or by the API.
        self.fields['prefixes'].queryset = Prefix.objects.filter(vrf__isnull=True)


class BootServerFilterForm(PrimaryModelFilterSetForm):
    model = BootServer
    fieldsets = (
        FieldSet('q', 'filter_id', 'tag'),
        FieldSet('name', 'status', 'site_id', 'prefix_id', name=_('Attributes')),
        FieldSet('version', 'in_step', 'late', name=_('Reported')),
        FieldSet('owner_group_id', 'owner_id', name=_('Ownership')),
    )
    selector_fields = ('filter_id', 'q', 'status', 'site_id')

    name = forms.CharField(label=_('Name'), required=False)
    status = forms.MultipleChoiceField(label=_('Status'), choices=BootServerStatusChoices, required=False)
    site_id = DynamicModelMultipleChoiceField(label=_('Site'), queryset=Site.objects.all(), required=False)
    prefix_id = DynamicModelMultipleChoiceField(label=_('Prefix'), queryset=Prefix.objects.all(), required=False)
    version = forms.CharField(label=_('Version'), required=False)
    in_step = forms.NullBooleanField(
        label=_('In step'), required=False, widget=forms.Select(choices=BOOLEAN_WITH_BLANK_CHOICES)
    )
    late = forms.NullBooleanField(
        label=_('Late'), required=False, widget=forms.Select(choices=BOOLEAN_WITH_BLANK_CHOICES)
    )
    tag = TagFilterField(model)
