"""NetBox's notifications about machines, builds and what belongs to them reach those alone who may view these.

NetBox asks for no permission when it writes a notification: neither for who has subscribed to an object, perhaps before
a permission was taken back, nor for the members of a group that an event rule notifies.  Each holds the object's name.
"""

from typing import Any

from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db.models.signals import post_save, pre_delete

from netbox.models.features import NotificationsMixin

UID = 'netbox_substruct.notifying'


def _for_viewers_only(notifications: Any, obj: Any) -> None:
    visible = type(obj).objects
    for notification in notifications.select_related('user'):
        if not visible.restrict(notification.user, 'view').filter(pk=obj.pk).exists():
            notification.delete()


def _after_change(sender: Any, instance: Any, created: bool = False, **kwargs: Any) -> None:
    """NetBox has just written the notifications of the subscribers, in bulk."""
    from extras.models import Notification

    if not created:
        of_object = Notification.objects.filter(
            object_type=ContentType.objects.get_for_model(instance), object_id=instance.pk
        )
        _for_viewers_only(of_object, instance)


def _after_notification(sender: Any, instance: Any, **kwargs: Any) -> None:
    """NetBox has just written one for a member of a notification group."""
    from extras.models import Notification

    if (obj := instance.object) is None:
        return
    # A build that an event rule was refused is told of a device.
    if obj._meta.app_label == 'netbox_substruct' or instance.event_type.startswith('substruct_'):
        _for_viewers_only(Notification.objects.filter(pk=instance.pk), obj)


def connect() -> None:
    """NetBox's own receivers were connected before: its apps are made ready before its plugins."""
    for model in apps.get_app_config('netbox_substruct').get_models():
        if issubclass(model, NotificationsMixin):
            for signal in (post_save, pre_delete):
                signal.connect(_after_change, sender=model, dispatch_uid=f'{UID}.{model._meta.model_name}')
    post_save.connect(_after_notification, sender='extras.Notification', dispatch_uid=UID)
