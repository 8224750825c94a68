"""What has to happen when NetBox has migrated, and when a boot server was deleted.

There are no receivers here that act when objects are saved; `notifying` has those that keep notifications from people.
"""

from django.apps import apps
from django.db import connections, transaction
from django.db.models.signals import post_delete, post_migrate


def install_feed_triggers(sender, using, **kwargs):
    """Make the feed's triggers, or make them anew after an upgrade that changed them."""
    from .feed import changes

    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        changes.install(cursor)


def discard_webhook(sender, instance, **kwargs):
    """What wakes a boot server goes with it, however it is deleted."""
    from .reports import webhooks

    webhooks.discard(instance)


def connect():
    post_migrate.connect(
        install_feed_triggers,
        sender=apps.get_app_config('netbox_substruct'),
        dispatch_uid='netbox_substruct.install_feed_triggers',
    )
    post_delete.connect(
        discard_webhook, sender='netbox_substruct.BootServer', dispatch_uid='netbox_substruct.discard_webhook'
    )
