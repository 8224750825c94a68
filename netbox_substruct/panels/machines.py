"""Panels on the pages of machines."""

from django.utils.translation import gettext_lazy as _

from netbox.ui import attrs, panels

from .. import boot
from ..choices import LocalBootChoices, MachineStateChoices
from ..models import BMC, Build

__all__ = (
    'BMCOfMachinePanel',
    'BootsNowPanel',
    'DevicePortsPanel',
    'MachineHardwarePanel',
    'MachinePanel',
    'VirtualPortsPanel',
)

BOOT_ACTIONS = {
    'build': (_('Its build'), 'yellow'),
    'local': (_('Its own disk'), 'green'),
    'rescue': (_('The rescue system'), 'orange'),
    'discovery': (_('Discovery'), 'cyan'),
    'wipe': (_('Disk wipe'), 'red'),
    'nothing': (_('Nothing'), 'gray'),
}


def boots_now(machine):
    """The decision for a machine, with the words and colour that pages show it in."""
    decision = boot.decide(boot.subject_of(machine))
    label, color = BOOT_ACTIONS[decision.action]
    return {
        'decision': decision,
        'label': label,
        'color': color,
        'build': machine.active_build,
        'local_boot': dict(LocalBootChoices).get(
            decision.local_method, _('Decided by the boot loader: the firmware is not known yet')
        ),
    }


class MachinePanel(panels.ObjectAttributesPanel):
    """A machine is one of device, virtual machine and neither; only the line that applies is shown."""

    device = attrs.RelatedObjectAttr('device', label=_('Device'), linkify=True)
    virtual_machine = attrs.RelatedObjectAttr('virtual_machine', label=_('Virtual machine'), linkify=True)
    discovered_name = attrs.TextAttr('discovered_name', label=_('Discovered name'))
    site = attrs.RelatedObjectAttr('site', label=_('Site'), linkify=True)
    state = attrs.ChoiceAttr('state', label=_('State'))
    profile = attrs.RelatedObjectAttr('profile', label=_('Profile'), linkify=True)
    boot_server = attrs.RelatedObjectAttr('boot_server', label=_('Boot server'), linkify=True)
    description = attrs.TextAttr('description', label=_('Description'))

    def get_context(self, context):
        ctx = super().get_context(context)
        machine = ctx['object']
        hidden = {'device', 'virtual_machine', 'discovered_name'}
        if machine.device_id:
            hidden -= {'device'}
        elif machine.virtual_machine_id:
            hidden -= {'virtual_machine'}
        else:
            hidden = {'device', 'virtual_machine', 'site'}
        return {
            **ctx,
            'attrs': [shown for name, shown in zip(self._attrs, ctx['attrs'], strict=True) if name not in hidden],
        }


class MachineHardwarePanel(panels.ObjectAttributesPanel):
    title = _('Hardware')

    architecture = attrs.ChoiceAttr('architecture', label=_('Architecture'))
    firmware = attrs.ChoiceAttr('firmware', label=_('Firmware'))
    boot_mac = attrs.TextAttr('boot_mac', label=_('Boot MAC address'), style='font-monospace', copy_button=True)
    uuid = attrs.TextAttr('uuid', label=_('UUID'), style='font-monospace', copy_button=True)
    serial = attrs.TextAttr('serial', label=_('Serial number'), style='font-monospace', copy_button=True)
    local_boot = attrs.ChoiceAttr('local_boot', label=_('Local boot'))
    last_seen = attrs.DateTimeAttr('last_seen', label=_('Last seen'))


class BootsNowPanel(panels.ObjectPanel):
    """What it boots now, and why."""

    template_name = 'netbox_substruct/panels/boots_now.html'
    title = _('Boots Now')

    def get_context(self, context):
        ctx = super().get_context(context)
        machine = ctx['object']
        shown = boots_now(machine)
        builds = Build.objects.restrict(ctx['request'].user, 'view').filter(machine=machine).defer('request')
        if shown['build'] is not None:
            shown['build'] = builds.filter(pk=shown['build'].pk).first()
        elif machine.state == MachineStateChoices.STATE_FAILED:
            shown['failed'] = builds.first()
        return {**ctx, **shown}


class BMCOfMachinePanel(panels.ObjectPanel):
    template_name = 'netbox_substruct/panels/bmc.html'
    title = _('BMC')

    def get_context(self, context):
        ctx = super().get_context(context)
        machine = ctx['object']
        return {**ctx, 'bmc': BMC.objects.restrict(ctx['request'].user, 'view').filter(machine=machine).first()}

    def should_render(self, context):
        return context['request'].user.has_perm('netbox_substruct.view_bmc')


class DevicePortsPanel(panels.ObjectsTablePanel):
    """The ports of the machine's device."""

    def __init__(self, **kwargs):
        super().__init__(
            model='dcim.Interface',
            title=_('Interfaces'),
            filters={'device_id': lambda context: context['object'].device_id},
            include_columns=['name', 'enabled', 'type', 'primary_mac_address', 'ip_addresses', 'description'],
            exclude_columns=['device', 'parent', 'inventory_items', 'label'],
            **kwargs,
        )

    def should_render(self, context):
        return context['object'].device_id is not None and super().should_render(context)


class VirtualPortsPanel(panels.ObjectsTablePanel):
    """The ports of the machine's virtual machine."""

    def __init__(self, **kwargs):
        super().__init__(
            model='virtualization.VMInterface',
            title=_('Interfaces'),
            filters={'virtual_machine_id': lambda context: context['object'].virtual_machine_id},
            include_columns=['name', 'enabled', 'primary_mac_address', 'ip_addresses', 'description'],
            exclude_columns=['virtual_machine'],
            **kwargs,
        )

    def should_render(self, context):
        return context['object'].virtual_machine_id is not None and super().should_render(context)
