"""The button "Build in a wave" on the pages of racks and sites: it leads to their machines, all ticked."""

from urllib.parse import urlencode

from django.template.loader import render_to_string
from django.urls import reverse

from netbox.plugins import PluginTemplateExtension

from .models import Machine

__all__ = ('BuildInWave',)

NEEDED = ('netbox_substruct.build_machine', 'netbox_substruct.add_wave', 'netbox_substruct.add_wavemember')
# The filter of the list of machines, and the field behind it, by the model of the page.
OF_MODEL = {'rack': ('rack_id', 'device__rack'), 'site': ('site_id', 'device__site')}


class BuildInWave(PluginTemplateExtension):
    models = ('dcim.rack', 'dcim.site')

    def buttons(self):
        obj, request = self.context['object'], self.context['request']
        if not request.user.has_perms(NEEDED):
            return ''
        parameter, field = OF_MODEL[obj._meta.model_name]
        if not Machine.objects.restrict(request.user, 'build').filter(**{field: obj}).exists():
            return ''
        query = urlencode({parameter: obj.pk, 'wave': str(obj), 'return_url': obj.get_absolute_url()})
        url = f'{reverse("plugins:netbox_substruct:machine_bulk_substruct_wave")}?{query}'
        return render_to_string('netbox_substruct/buttons/wave.html', {'url': url})
