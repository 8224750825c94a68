"""Substruct: NetBox provisions bare metal.  This module only tells NetBox what the plugin is."""

from netbox.plugins import PluginConfig

from .version import __version__


class SubstructConfig(PluginConfig):
    name = 'netbox_substruct'
    verbose_name = 'Substruct'
    description = 'Bare-metal provisioning from what NetBox already knows'
    version = __version__
    author = 'The Substruct developers'
    base_url = 'substruct'
    min_version = '4.7.0'
    max_version = '4.7.99'


config = SubstructConfig
