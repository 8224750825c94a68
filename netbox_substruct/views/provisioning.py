"""The Provisioning tab of devices and virtual machines: everything about how one is provisioned, at one glance."""

from django.http import Http404
from django.utils.translation import gettext_lazy as _

from dcim.models import Device
from netbox.context import current_request
from netbox.ui import layout
from netbox.views import generic
from utilities.views import ViewTab, register_model_view
from virtualization.models import VirtualMachine

from .. import panels
from ..panels.provisioning import next_step, visible_machine
from .buttons import OF_BUILD
from .lines import sections

__all__ = ('DeviceProvisioningView', 'VirtualMachineProvisioningView')


def _visible(obj):
    request = current_request.get()
    return request is not None and visible_machine(obj, request.user)[0]


class ProvisioningView(generic.ObjectView):
    """For those who may view the machine, or who would see that there is none."""

    template_name = 'netbox_substruct/provisioning.html'
    base_template = ''
    actions = ()
    additional_permissions = ('netbox_substruct.view_machine',)
    tab = ViewTab(label=_('Provisioning'), visible=_visible, permission='netbox_substruct.view_machine', weight=1500)
    layout = layout.Layout(
        layout.Row(
            layout.Column(
                panels.NextStepPanel(accessor='machine'),
                panels.CurrentBuildPanel(OF_BUILD, accessor='machine'),
                panels.BuildHistoryPanel(accessor='machine'),
                width=7,
            ),
            layout.Column(
                panels.ReportedProblemsPanel('machine', accessor='machine'),
                panels.BootsNowPanel(accessor='machine'),
                panels.ArtifactsServedPanel(accessor='machine'),
                panels.DifferencePanel(sections, accessor='machine'),
                panels.PowerPanel(accessor='machine'),
            ),
        ),
    )

    def get_extra_context(self, request, instance):
        visible, machine = visible_machine(instance, request.user)
        if not visible:
            raise Http404
        if machine is not None:
            # As it was read for this page; its own page would read it again for each panel.
            setattr(machine, instance._meta.model_name.replace('virtualmachine', 'virtual_machine'), instance)
        return {
            'machine': machine,
            'base_template': self.base_template,
            **({} if machine else next_step(instance, None, request.user)),
        }


@register_model_view(Device, 'provisioning')
class DeviceProvisioningView(ProvisioningView):
    queryset = Device.objects.select_related('site', 'device_type')
    base_template = 'dcim/device/base.html'


@register_model_view(VirtualMachine, 'provisioning')
class VirtualMachineProvisioningView(ProvisioningView):
    queryset = VirtualMachine.objects.select_related('site')
    base_template = 'virtualization/virtualmachine/base.html'
