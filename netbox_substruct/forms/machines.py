"""Forms of machines, and of what is done with them."""

from django import forms
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from dcim.models import Device, DeviceRole, Rack, Site
from netbox.forms import (
    PrimaryModelBulkEditForm,
    PrimaryModelFilterSetForm,
    PrimaryModelForm,
    PrimaryModelImportForm,
)
from utilities.forms import BOOLEAN_WITH_BLANK_CHOICES, ConfirmationForm, add_blank_choice
from utilities.forms.fields import (
    CSVChoiceField,
    CSVModelChoiceField,
    DynamicModelChoiceField,
    DynamicModelMultipleChoiceField,
    JSONField,
    TagFilterField,
)
from utilities.forms.rendering import FieldSet, TabbedGroups
from virtualization.models import Cluster, VirtualMachine

from ..choices import (
    ArchitectureChoices,
    FirmwareChoices,
    LocalBootChoices,
    MachineStateChoices,
    NextBootChoices,
    PowerActionChoices,
)
from ..models import BootServer, Machine, Profile

__all__ = (
    'BuildMachineForm',
    'BuildMachinesForm',
    'CSVMachineField',
    'CancelBuildForm',
    'MachineBulkEditForm',
    'MachineFilterForm',
    'MachineForm',
    'MachineImportForm',
    'MachineStateForm',
    'NextBootForm',
    'PowerForm',
    'RegisterForm',
)


class CSVMachineField(CSVModelChoiceField):
    """A machine in an import: by its name, or by its ID where names are not unique."""

    def __init__(self, **kwargs):
        kwargs.setdefault('label', _('Machine'))
        kwargs.setdefault('queryset', Machine.objects.all())
        kwargs.setdefault(
            'help_text', _('Name of the device, virtual machine or discovered machine, or the ID of the machine')
        )
        super().__init__(**kwargs)

    def to_python(self, value):
        if value in self.empty_values:
            return None
        text = str(value).strip()
        found = list(
            self.queryset.filter(
                Q(device__name=text) | Q(virtual_machine__name=text) | Q(discovered_name=text)
            )[:2]
        )  # fmt: skip
        if not found and text.isdigit():
            found = list(self.queryset.filter(pk=int(text)))
        if not found:
            raise forms.ValidationError(_('There is no machine "%(name)s".'), params={'name': text})
        if len(found) > 1:
            raise forms.ValidationError(
                _('Several machines are called "%(name)s"; give the ID of one.'), params={'name': text}
            )
        return found[0]


class MachineForm(PrimaryModelForm):
    device = DynamicModelChoiceField(label=_('Device'), queryset=Device.objects.all(), required=False, selector=True)
    virtual_machine = DynamicModelChoiceField(
        label=_('Virtual machine'), queryset=VirtualMachine.objects.all(), required=False, selector=True
    )
    profile = DynamicModelChoiceField(
        label=_('Profile'),
        queryset=Profile.objects.all(),
        required=False,
        quick_add=True,
        help_text=Machine._meta.get_field('profile').help_text,
    )
    boot_server = DynamicModelChoiceField(
        label=_('Boot server'),
        queryset=BootServer.objects.all(),
        required=False,
        help_text=Machine._meta.get_field('boot_server').help_text,
    )
    parameters = JSONField(
        label=_('Parameters'), required=False, help_text=Machine._meta.get_field('parameters').help_text
    )

    fieldsets = (
        FieldSet(
            TabbedGroups(
                FieldSet('device', name=_('Device')),
                FieldSet('virtual_machine', name=_('Virtual machine')),
                FieldSet('discovered_name', name=_('Neither yet')),
            ),
            'profile', 'description', 'tags',
            name=_('Machine'),
        ),
        FieldSet('architecture', 'firmware', 'boot_mac', 'uuid', 'serial', name=_('Hardware')),
        FieldSet('boot_server', 'local_boot', name=_('Booting')),
        FieldSet('parameters', name=_('Parameters')),
    )  # fmt: skip

    class Meta:
        model = Machine
        fields = (
            'device', 'virtual_machine', 'discovered_name', 'profile', 'description', 'architecture', 'firmware',
            'boot_mac', 'uuid', 'serial', 'boot_server', 'local_boot', 'parameters', 'owner', 'comments', 'tags',
        )  # fmt: skip

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.instance.pk and self.instance.object is not None:
            # What a machine is does not change; the other choices would only be refused.
            for name in ('device', 'virtual_machine'):
                self.fields[name].disabled = True

    def clean_parameters(self):
        return self.cleaned_data['parameters'] or {}


class MachineBulkEditForm(PrimaryModelBulkEditForm):
    profile = DynamicModelChoiceField(label=_('Profile'), queryset=Profile.objects.all(), required=False)
    boot_server = DynamicModelChoiceField(label=_('Boot server'), queryset=BootServer.objects.all(), required=False)
    architecture = forms.ChoiceField(
        label=_('Architecture'), choices=add_blank_choice(ArchitectureChoices), required=False
    )
    firmware = forms.ChoiceField(label=_('Firmware'), choices=add_blank_choice(FirmwareChoices), required=False)
    local_boot = forms.ChoiceField(label=_('Local boot'), choices=add_blank_choice(LocalBootChoices), required=False)

    model = Machine
    fieldsets = (
        FieldSet('profile', 'description', name=_('Machine')),
        FieldSet('architecture', 'firmware', name=_('Hardware')),
        FieldSet('boot_server', 'local_boot', name=_('Booting')),
    )
    nullable_fields = ('profile', 'boot_server', 'firmware', 'description', 'comments')


class MachineImportForm(PrimaryModelImportForm):
    device = CSVModelChoiceField(
        label=_('Device'),
        queryset=Device.objects.all(),
        required=False,
        to_field_name='name',
        help_text=_('Name of the device'),
    )
    virtual_machine = CSVModelChoiceField(
        label=_('Virtual machine'),
        queryset=VirtualMachine.objects.all(),
        required=False,
        to_field_name='name',
        help_text=_('Name of the virtual machine'),
    )
    profile = CSVModelChoiceField(
        label=_('Profile'),
        queryset=Profile.objects.all(),
        required=False,
        to_field_name='slug',
        help_text=_('Slug of the profile'),
    )
    boot_server = CSVModelChoiceField(
        label=_('Boot server'),
        queryset=BootServer.objects.all(),
        required=False,
        to_field_name='name',
        help_text=_('Name of the boot server'),
    )
    architecture = CSVChoiceField(label=_('Architecture'), choices=ArchitectureChoices, required=False)
    firmware = CSVChoiceField(label=_('Firmware'), choices=FirmwareChoices, required=False)
    local_boot = CSVChoiceField(label=_('Local boot'), choices=LocalBootChoices, required=False)
    parameters = JSONField(label=_('Parameters'), required=False, help_text=_('A JSON object'))

    class Meta:
        model = Machine
        fields = (
            'device', 'virtual_machine', 'discovered_name', 'profile', 'architecture', 'firmware', 'boot_mac', 'uuid',
            'serial', 'boot_server', 'local_boot', 'parameters', 'description', 'owner', 'comments', 'tags',
        )  # fmt: skip

    def clean_architecture(self):
        return self.cleaned_data['architecture'] or ArchitectureChoices.ARCH_X86_64

    def clean_local_boot(self):
        return self.cleaned_data['local_boot'] or LocalBootChoices.LOCAL_AUTO

    def clean_parameters(self):
        return self.cleaned_data['parameters'] or {}


class MachineFilterForm(PrimaryModelFilterSetForm):
    model = Machine
    fieldsets = (
        FieldSet('q', 'filter_id', 'tag'),
        FieldSet('state', 'next_boot', 'profile_id', 'has_active_build', name=_('Provisioning')),
        FieldSet('site_id', 'rack_id', 'cluster_id', 'role_id', name=_('Place')),
        FieldSet('architecture', 'firmware', 'boot_mac', 'mac_address', 'serial', 'uuid', name=_('Hardware')),
        FieldSet('boot_server_id', 'local_boot', name=_('Booting')),
        FieldSet('owner_group_id', 'owner_id', name=_('Ownership')),
    )
    selector_fields = ('filter_id', 'q', 'site_id', 'state')

    state = forms.MultipleChoiceField(label=_('State'), choices=MachineStateChoices, required=False)
    next_boot = forms.MultipleChoiceField(label=_('Next boot'), choices=NextBootChoices, required=False)
    profile_id = DynamicModelMultipleChoiceField(
        label=_('Profile'), queryset=Profile.objects.all(), required=False, null_option='None'
    )
    has_active_build = forms.NullBooleanField(
        label=_('Build under way'), required=False, widget=forms.Select(choices=BOOLEAN_WITH_BLANK_CHOICES)
    )
    site_id = DynamicModelMultipleChoiceField(label=_('Site'), queryset=Site.objects.all(), required=False)
    rack_id = DynamicModelMultipleChoiceField(
        label=_('Rack'), queryset=Rack.objects.all(), required=False, query_params={'site_id': '$site_id'}
    )
    cluster_id = DynamicModelMultipleChoiceField(label=_('Cluster'), queryset=Cluster.objects.all(), required=False)
    role_id = DynamicModelMultipleChoiceField(label=_('Role'), queryset=DeviceRole.objects.all(), required=False)
    architecture = forms.MultipleChoiceField(label=_('Architecture'), choices=ArchitectureChoices, required=False)
    firmware = forms.MultipleChoiceField(label=_('Firmware'), choices=FirmwareChoices, required=False)
    boot_mac = forms.CharField(label=_('Boot MAC address'), required=False)
    mac_address = forms.CharField(label=_('MAC address of any port'), required=False)
    serial = forms.CharField(label=_('Serial number'), required=False)
    uuid = forms.CharField(label=_('UUID'), required=False)
    boot_server_id = DynamicModelMultipleChoiceField(
        label=_('Boot server'), queryset=BootServer.objects.all(), required=False, null_option='None'
    )
    local_boot = forms.MultipleChoiceField(label=_('Local boot'), choices=LocalBootChoices, required=False)
    tag = TagFilterField(model)


#
# Actions
#


class RegisterForm(ConfirmationForm):
    """Make devices or virtual machines machines."""

    profile = DynamicModelChoiceField(
        label=_('Profile'),
        queryset=Profile.objects.all(),
        required=False,
        help_text=_('What they become when they are built; it can be chosen later.'),
    )


class BuildMachineForm(ConfirmationForm):
    """Request a build of one machine.  The name is asked for whenever `lifecycle` would ask for it."""

    profile = DynamicModelChoiceField(
        label=_('Profile'),
        queryset=Profile.objects.all(),
        required=False,
        help_text=_('If empty: the profile that the machine has.'),
    )
    description = forms.CharField(label=_('Description'), max_length=200, required=False)
    override = forms.CharField(label=_('Name of the machine'), required=False)

    def __init__(self, *args, guard=None, **kwargs):
        super().__init__(*args, **kwargs)
        if guard:
            self.fields['override'].help_text = _('{reason}. Type its exact name to build it all the same.').format(
                reason=guard
            )
        else:
            del self.fields['override']


class BuildMachinesForm(ConfirmationForm):
    """Request builds of several machines; one field for the name of each that needs an override."""

    profile = DynamicModelChoiceField(
        label=_('Profile'),
        queryset=Profile.objects.all(),
        required=False,
        help_text=_('If empty: each machine’s own profile.'),
    )
    description = forms.CharField(label=_('Description'), max_length=200, required=False)

    def __init__(self, *args, guards=(), **kwargs):
        """`guards`: pairs of a machine and why it needs its name as an override (None where it does not)."""
        super().__init__(*args, **kwargs)
        for machine, guard in guards:
            if guard:
                self.fields[f'override_{machine.pk}'] = forms.CharField(
                    label=_('Name of {machine}').format(machine=machine),
                    required=True,
                    help_text=_('{reason}. Type its exact name to build it all the same.').format(reason=guard),
                )

    def override_of(self, machine):
        return self.cleaned_data.get(f'override_{machine.pk}', '')


class CancelBuildForm(ConfirmationForm):
    reason = forms.CharField(label=_('Reason'), max_length=400, required=False)


class NextBootForm(ConfirmationForm):
    """What a machine boots once.  Wiping destroys data, so it asks for the machine's name."""

    next_boot = forms.ChoiceField(
        label=_('Next boot'),
        choices=[('', _('As it would anyway')), *NextBootChoices],
        required=False,
        help_text=_('It is booted once, the next time that the machine boots from the network.'),
    )
    name = forms.CharField(
        label=_('Name of the machine'), required=False, help_text=_('For wiping only: type its exact name.')
    )

    def __init__(self, *args, machine=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.machine = machine

    def clean(self):
        super().clean()
        if (
            self.cleaned_data.get('next_boot') == NextBootChoices.NEXT_WIPE
            and self.cleaned_data.get('name') != self.machine.name
        ):
            self.add_error(
                'name',
                _('Wiping erases its disks. Type the exact name of the machine, {name}.').format(
                    name=self.machine.name
                ),
            )
        return self.cleaned_data


class PowerForm(ConfirmationForm):
    """What is to be done with a machine's power.  The name is asked for whenever `power.ask` may ask for it."""

    action = forms.ChoiceField(
        label=_('What to do'),
        choices=[choice[:2] for choice in PowerActionChoices],
        help_text=_('Its boot server does it by the machine’s BMC, and reports what came of it.'),
    )
    override = forms.CharField(label=_('Name of the machine'), required=False)

    def __init__(self, *args, guard=None, **kwargs):
        super().__init__(*args, **kwargs)
        if guard:
            self.fields['override'].help_text = _('{reason}. Type its exact name to interrupt it all the same.').format(
                reason=guard
            )
        else:
            del self.fields['override']


class MachineStateForm(ConfirmationForm):
    """Retire a machine, or register it (again)."""

    state = forms.ChoiceField(
        label=_('State'),
        choices=[
            choice
            for choice in MachineStateChoices
            if choice[0] in (MachineStateChoices.STATE_REGISTERED, MachineStateChoices.STATE_RETIRED)
        ],
    )
