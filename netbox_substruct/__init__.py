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
    default_settings = {
        # Slug of the tag that guards a device, virtual machine or machine from being built without an override.
        'protected_tag': 'protected',
        # Seconds after which a claimed task is given to another sidecar, unless the one that has it renews its claim.
        'task_lease': 300,
        # Sets of facts that are kept of a machine, by source.
        'facts_kept': 20,
        # Minutes after which a build counts as stalled, where its profile says nothing: while it waits for its machine,
        # and without news once it is under way.  0: never.
        'pending_limit': 1440,
        'stall_limit': 60,
    }

    def ready(self):
        from . import dashboard, jobs, listing, notifying, signals, template_library  # jobs register themselves
        from .lifecycle import events
        from .waves import job, running

        signals.connect()
        notifying.connect()
        template_library.connect()
        events.register()
        listing.register()
        running.connect()
        super().ready()


config = SubstructConfig
