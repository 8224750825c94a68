"""The menu."""

from django.utils.translation import gettext_lazy as _

from netbox.plugins import PluginMenu, PluginMenuButton, PluginMenuItem


def _item(model, label, *, add=True):
    """The list of a model, with buttons to add and to import where people make such objects."""
    view = f'plugins:netbox_substruct:{model}'
    buttons = ()
    if add:
        permission = f'netbox_substruct.add_{model}'
        buttons = (
            PluginMenuButton(f'{view}_add', _('Add'), 'mdi mdi-plus-thick', permissions=[permission]),
            PluginMenuButton(f'{view}_bulk_import', _('Import'), 'mdi mdi-upload', permissions=[permission]),
        )
    return PluginMenuItem(f'{view}_list', label, permissions=[f'netbox_substruct.view_{model}'], buttons=buttons)


menu = PluginMenu(
    label=_('Substruct'),
    icon_class='mdi mdi-server-network',
    groups=(
        (
            _('Provisioning'),
            (
                PluginMenuItem(
                    'plugins:netbox_substruct:overview', _('Overview'), permissions=['netbox_substruct.view_machine']
                ),
                _item('machine', _('Machines')),
                _item('build', _('Builds'), add=False),
                _item('wave', _('Waves')),
                _item('profile', _('Profiles')),
                _item('profiletemplate', _('Profile Templates')),
                _item('bootimage', _('Boot Images')),
            ),
        ),
        (
            _('Discovery'),
            (
                PluginMenuItem(
                    'plugins:netbox_substruct:machine_inbox', _('Inbox'), permissions=['netbox_substruct.view_machine']
                ),
                _item('discoveryrule', _('Discovery Rules')),
                _item('factset', _('Fact Sets'), add=False),
            ),
        ),
        (
            _('Network'),
            (
                _item('subnet', _('Subnets')),
                _item('zone', _('Zones')),
            ),
        ),
        (
            _('Boot Servers'),
            (
                _item('bootserver', _('Boot Servers')),
                _item('bmc', _('BMCs')),
                _item('task', _('Tasks')),
            ),
        ),
        (
            _('History'),
            (
                _item('wavemember', _('Wave Members'), add=False),
                _item('buildartifact', _('Build Artifacts'), add=False),
                _item('buildevent', _('Build Events'), add=False),
            ),
        ),
    ),
)
