"""What has to happen when NetBox has migrated.  There are no receivers here that act when objects are saved."""

from django.apps import apps
from django.db import connections, transaction
from django.db.models.signals import post_migrate


def install_feed_triggers(sender, using, **kwargs):
    """Make the feed's triggers, or make them anew after an upgrade that changed them."""
    from .feed import changes

    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        changes.install(cursor)


def connect():
    post_migrate.connect(
        install_feed_triggers,
        sender=apps.get_app_config('netbox_substruct'),
        dispatch_uid='netbox_substruct.install_feed_triggers',
    )
