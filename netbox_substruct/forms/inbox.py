"""Forms of the discovery inbox: what many machines become, and a rule that is tried before it is saved."""

from django import forms
from django.utils.translation import gettext_lazy as _

from dcim.models import DeviceRole, Platform, Site
from tenancy.models import Tenant
from utilities.forms.fields import DynamicModelChoiceField, JSONField
from virtualization.models import Cluster

from ..discovery.many import SHARED
from ..models import DiscoveryRule, Profile
from ..validators import validate_condition

__all__ = ('AdoptManyForm', 'TryRuleForm')

WHERE_UNKNOWN = _('For those for which neither a rule nor their facts say one.')


class AdoptManyForm(forms.Form):
    """What is said once for all of them."""

    role = DynamicModelChoiceField(
        label=_('Role'), queryset=DeviceRole.objects.all(), required=False, help_text=WHERE_UNKNOWN
    )
    site = DynamicModelChoiceField(
        label=_('Site'), queryset=Site.objects.all(), required=False, help_text=WHERE_UNKNOWN
    )
    profile = DynamicModelChoiceField(
        label=_('Profile'), queryset=Profile.objects.all(), required=False, help_text=WHERE_UNKNOWN
    )
    tenant = DynamicModelChoiceField(
        label=_('Tenant'), queryset=Tenant.objects.all(), required=False, help_text=_('Whose all of them are.')
    )
    platform = DynamicModelChoiceField(
        label=_('Platform'), queryset=Platform.objects.all(), required=False, help_text=_('That of all of them.')
    )
    cluster = DynamicModelChoiceField(
        label=_('Cluster'), queryset=Cluster.objects.all(), required=False, help_text=_('For virtual machines.')
    )

    def shared(self):
        """What was chosen, as ids."""
        if not self.is_valid():
            return {}
        return {name: obj.pk for name in SHARED if (obj := self.cleaned_data.get(name)) is not None}


class TryRuleForm(forms.Form):
    """Those fields of a rule that a dry run needs, as the form of the rule sends them; the rest is left alone."""

    name = forms.CharField(max_length=100, required=False)
    enabled = forms.BooleanField(required=False)
    priority = forms.IntegerField(min_value=0, max_value=32767, required=False)
    condition = JSONField(required=False, validators=[validate_condition])
    host_name_template = forms.CharField(max_length=200, required=False)
    limit = forms.IntegerField(min_value=0, required=False)
    adopt_at_once = forms.BooleanField(required=False)
    build_at_once = forms.BooleanField(required=False)

    def rule(self, pk=None):
        """The rule as it would be saved; not saved.  The form is valid."""
        values = dict(self.cleaned_data)
        if values['priority'] is None:
            values['priority'] = DiscoveryRule._meta.get_field('priority').default
        values['condition'] = values['condition'] or {}
        return DiscoveryRule(pk=pk, **values)
