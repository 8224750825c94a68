"""Forms of adopting a discovered machine: as a new device, as a new virtual machine, or as one that NetBox has."""

from django import forms
from django.utils.translation import gettext_lazy as _

from dcim.choices import DeviceFaceChoices, DeviceStatusChoices
from dcim.models import Device, DeviceRole, DeviceType, Location, Platform, Rack, Site
from tenancy.models import Tenant
from utilities.forms import add_blank_choice
from utilities.forms.fields import DynamicModelChoiceField
from utilities.forms.rendering import FieldSet
from utilities.forms.widgets import APISelect
from virtualization.choices import VirtualMachineStatusChoices
from virtualization.models import Cluster, VirtualMachine

from ..discovery.adoption import Choices
from ..discovery.ports import LEAVE, NEW
from ..models import Profile

__all__ = ('ADOPTION_FORMS', 'AdoptDeviceForm', 'AdoptKnownForm', 'AdoptVirtualMachineForm')

# How a choice of an interface is called in the form that reviews a proposal.
MAPPED = 'map:'


class AdoptForm(forms.Form):
    """What all ways share.  `choices` gives what was chosen as the domain takes it."""

    profile = DynamicModelChoiceField(
        label=_('Profile'),
        queryset=Profile.objects.all(),
        required=False,
        help_text=_('What it becomes when it is built; it can be chosen later.'),
    )
    kind = ''

    def choices(self) -> Choices:
        """The choices of a valid form, with the interfaces that the review page asks for."""
        values = {name: value for name, value in self.cleaned_data.items() if name in Choices.__struct_fields__}
        values = {name: value.pk if hasattr(value, 'pk') else value for name, value in values.items()}
        if values.get('position') is not None:
            values['position'] = float(values['position'])
        mapped = {
            name.removeprefix(MAPPED): str(value)
            for name, value in self.data.items()
            if name.startswith(MAPPED) and value
        }
        return Choices(**values, interfaces=mapped, **({'kind': self.kind} if self.kind else {}))

    def note(self, problems) -> None:
        """Show what stands in the way at the fields that it is about."""
        for problem in problems:
            self.add_error(problem.field if problem.field in self.fields else None, problem.message)


class AdoptNewForm(AdoptForm):
    name = forms.CharField(label=_('Name'), max_length=64)
    role = DynamicModelChoiceField(label=_('Role'), queryset=DeviceRole.objects.all(), required=False)
    site = DynamicModelChoiceField(label=_('Site'), queryset=Site.objects.all(), required=False, selector=True)
    tenant = DynamicModelChoiceField(label=_('Tenant'), queryset=Tenant.objects.all(), required=False, selector=True)
    platform = DynamicModelChoiceField(
        label=_('Platform'), queryset=Platform.objects.all(), required=False, selector=True
    )
    primary_ip = forms.ChoiceField(
        label=_('Primary IP address'),
        choices=(
            ('none', _('None')),
            ('next', _('The next free address of the prefix that it booted in')),
            ('found', _('The address that it has now')),
        ),
        initial='none',
        help_text=_('The address that it has now is most likely one from DHCP, for a while only.'),
    )


class AdoptDeviceForm(AdoptNewForm):
    kind = 'device'
    status = forms.ChoiceField(label=_('Status'), choices=DeviceStatusChoices)
    device_type = DynamicModelChoiceField(
        label=_('Device type'),
        queryset=DeviceType.objects.all(),
        required=False,
        context={'parent': 'manufacturer'},
        selector=True,
    )
    make_device_type = forms.BooleanField(
        label=_('Make the device type'),
        required=False,
        help_text=_('Where none is chosen and NetBox has none for its product: make it, and its manufacturer.'),
    )
    location = DynamicModelChoiceField(
        label=_('Location'), queryset=Location.objects.all(), required=False, query_params={'site_id': '$site'}
    )
    rack = DynamicModelChoiceField(
        label=_('Rack'),
        queryset=Rack.objects.all(),
        required=False,
        query_params={'site_id': '$site', 'location_id': '$location'},
    )
    face = forms.ChoiceField(label=_('Rack face'), choices=add_blank_choice(DeviceFaceChoices), required=False)
    position = forms.DecimalField(
        label=_('Position'),
        required=False,
        help_text=_('The lowest-numbered unit that it takes up'),
        localize=True,
        widget=APISelect(
            api_url='/api/dcim/racks/{{rack}}/elevation/',
            attrs={
                'ts-disabled-field': 'device',
                'data-dynamic-params': '[{"fieldName":"face","queryParam":"face"}]',
            },
        ),
    )
    cluster = DynamicModelChoiceField(
        label=_('Cluster'),
        queryset=Cluster.objects.all(),
        required=False,
        selector=True,
        query_params={'site_id': ['$site', 'null']},
    )
    bmc_credential = forms.CharField(
        label=_('BMC credential'),
        max_length=100,
        required=False,
        help_text=_('The name under which boot servers keep the password of its BMC. If empty: no BMC is recorded.'),
    )

    fieldsets = (
        FieldSet('name', 'role', 'status', 'tenant', name=_('Device')),
        FieldSet('device_type', 'make_device_type', 'platform', name=_('Hardware')),
        FieldSet('site', 'location', 'rack', 'face', 'position', 'cluster', name=_('Place')),
        FieldSet('profile', 'primary_ip', 'bmc_credential', name=_('Provisioning')),
    )


class AdoptVirtualMachineForm(AdoptNewForm):
    kind = 'virtual-machine'
    status = forms.ChoiceField(label=_('Status'), choices=VirtualMachineStatusChoices)
    cluster = DynamicModelChoiceField(label=_('Cluster'), queryset=Cluster.objects.all(), required=False, selector=True)

    fieldsets = (
        FieldSet('name', 'role', 'status', 'tenant', 'platform', name=_('Virtual Machine')),
        FieldSet('cluster', 'site', name=_('Place')),
        FieldSet('profile', 'primary_ip', name=_('Provisioning')),
    )


class AdoptKnownForm(AdoptForm):
    device = DynamicModelChoiceField(label=_('Device'), queryset=Device.objects.all(), required=False, selector=True)
    virtual_machine = DynamicModelChoiceField(
        label=_('Virtual machine'), queryset=VirtualMachine.objects.all(), required=False, selector=True
    )
    bmc_credential = forms.CharField(
        label=_('BMC credential'),
        max_length=100,
        required=False,
        help_text=_('The name under which boot servers keep the password of its BMC. If empty: no BMC is recorded.'),
    )

    fieldsets = (
        FieldSet('device', 'virtual_machine', name=_('It Is')),
        FieldSet('profile', 'bmc_credential', name=_('Provisioning')),
    )

    def clean(self):
        found = super().clean()
        if bool(found.get('device')) == bool(found.get('virtual_machine')):
            self.add_error('device', _('Choose a device or a virtual machine, and not both.'))
        return found


# The ways to adopt a machine, in the order in which they are offered.
ADOPTION_FORMS = {
    'device': (_('New device'), AdoptDeviceForm),
    'virtual-machine': (_('New virtual machine'), AdoptVirtualMachineForm),
    'known': (_('One that NetBox has'), AdoptKnownForm),
}


def mapping_choices(found: str, ports) -> list[tuple[str, str]]:
    """What a port of the machine may be."""
    return [
        ('', _('As suggested')),
        *((name, name) for name in ports),
        (NEW, _('A new interface "{name}"').format(name=found)),
        (LEAVE, _('Leave it out')),
    ]
