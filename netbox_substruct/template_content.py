"""What Substruct adds to the pages of devices and virtual machines: how they are provisioned, and registering them."""

from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse

from netbox.plugins import PluginTemplateExtension

from .panels.machines import boots_now
from .panels.provisioning import machine_of, next_step, visible_machine
from .prefix_content import PrefixProvisioning
from .wave_content import BuildInWave

__all__ = ('template_extensions',)


class Provisioning(PluginTemplateExtension):
    """Nothing is said to users who may not view machines."""

    models = ('dcim.device', 'virtualization.virtualmachine')

    @property
    def user(self):
        return self.context['request'].user

    def register_url(self):
        if not self.user.has_perm('netbox_substruct.add_machine'):
            return None
        obj = self.context['object']
        try:
            url = reverse(f'{obj._meta.app_label}:{obj._meta.model_name}_substruct_register', kwargs={'pk': obj.pk})
        except NoReverseMatch:
            return None
        return f'{url}?return_url={obj.get_absolute_url()}'

    def buttons(self):
        if machine_of(self.context['object']) is not None or (url := self.register_url()) is None:
            return ''
        return render_to_string('netbox_substruct/buttons/register.html', {'url': url})

    def right_page(self):
        obj = self.context['object']
        visible, machine = visible_machine(obj, self.user)
        if not visible:
            return ''
        shown = next_step(obj, machine, self.user)
        if machine is not None:
            shown |= boots_now(machine)
            build = shown['build']
            if build is not None and not self.user.has_perm('netbox_substruct.view_build', build):
                shown['build'] = None
            shown['tab_url'] = reverse(f'{obj._meta.app_label}:{obj._meta.model_name}_provisioning', args=[obj.pk])
        return self.render('netbox_substruct/panels/provisioning.html', {'machine': machine, **shown})


template_extensions = [Provisioning, BuildInWave, PrefixProvisioning]
