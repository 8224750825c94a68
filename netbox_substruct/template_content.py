"""What Substruct adds to the pages of devices and virtual machines: how they are provisioned, and registering them."""

from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse

from netbox.plugins import PluginTemplateExtension

from .models import Build, Machine
from .panels.machines import boots_now
from .prefix_content import PrefixProvisioning
from .wave_content import BuildInWave

__all__ = ('template_extensions',)


class Provisioning(PluginTemplateExtension):
    """Nothing is said to users who may not view machines."""

    models = ('dcim.device', 'virtualization.virtualmachine')

    @property
    def user(self):
        return self.context['request'].user

    def machine(self):
        """The machine that the object is, or None."""
        obj = self.context['object']
        field = 'device' if obj._meta.model_name == 'device' else 'virtual_machine'
        return Machine.objects.filter(**{field: obj}).first()

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
        if self.machine() is not None or (url := self.register_url()) is None:
            return ''
        return render_to_string('netbox_substruct/buttons/register.html', {'url': url})

    def right_page(self):
        if not self.user.has_perm('netbox_substruct.view_machine'):
            return ''
        machine = self.machine()
        if machine is None:
            return self.render('netbox_substruct/panels/provisioning.html', {'register_url': self.register_url()})
        if not Machine.objects.restrict(self.user, 'view').filter(pk=machine.pk).exists():
            return ''
        shown = boots_now(machine)
        if not Build.objects.restrict(self.user, 'view').filter(pk=shown['build'].pk if shown['build'] else 0).exists():
            shown['build'] = None
        return self.render('netbox_substruct/panels/provisioning.html', {'machine': machine, **shown})


template_extensions = [Provisioning, BuildInWave, PrefixProvisioning]
