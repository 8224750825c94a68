"""The webhook and event rule of each boot server, which wake it when NetBox changes.

They are objects of NetBox like any others, made and owned by the plugin: the boot server knows their ids, so that they
are ours whatever they are called, and nobody else's are ever touched.  Each time a boot server asks, they are put right
again: after a rename, and where somebody edited them by hand.

The webhook says nothing but that something has changed.  What has, the boot server reads from the feed.
"""

import secrets
from typing import Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils.translation import gettext as _

from ..feed import changes
from ..lifecycle import events
from ..lifecycle.errors import LifecycleError

# Seconds to wait for a boot server: NetBox's workers have other work, and what is lost here is found by polling.
TIMEOUT = 5
BODY = '{{"timestamp": "{{{{ timestamp }}}}", "boot_server": {id}}}'
LONGEST_NAME = 150


class BadHook(LifecycleError):
    """NetBox cannot call this URL."""

    code = 'invalid'


def put(boot_server_id: int, url: str, *, ssl_verification: bool = True, user: Any = None) -> tuple[Any, Any]:
    """Make the boot server's Webhook and EventRule as they should be.  Permission: feed on the boot server.

    Raises BadHook for a URL that cannot be one.  NetBox would take Jinja2 in it; here it is a URL and nothing else.
    """
    from extras.models import EventRule, Webhook
    from utilities.jinja2 import JINJA2_TEMPLATE_RE

    if JINJA2_TEMPLATE_RE.search(url):
        raise BadHook(_('{url} is no URL that NetBox may call: it holds Jinja2.').format(url=url))
    with events.tracked(user):
        boot_server = _lock(boot_server_id)
        webhook = Webhook.objects.filter(pk=boot_server.webhook_id).first() or Webhook(secret='')
        _write(
            webhook,
            name=_free_name(Webhook, boot_server, webhook.pk),
            description=_('Wakes the boot server when NetBox changes. Kept by Substruct; changes by hand are undone.'),
            payload_url=url,
            http_method='POST',
            http_content_type='application/json',
            additional_headers='',
            body_template=BODY.format(id=boot_server.pk),
            # The secret stays what it is: a webhook on its way is still signed with it.
            secret=webhook.secret or secrets.token_urlsafe(48),
            ssl_verification=ssl_verification,
            ca_file_path=(webhook.ca_file_path or None) if ssl_verification else None,
            timeout=TIMEOUT,
        )
        rule = EventRule.objects.filter(pk=boot_server.event_rule_id).first() or EventRule()
        _write(
            rule,
            name=_free_name(EventRule, boot_server, rule.pk),
            description=_('Wakes the boot server when NetBox changes. Kept by Substruct; changes by hand are undone.'),
            event_types=['object_created', 'object_updated', 'object_deleted'],
            enabled=True,
            conditions=None,
            action_type='webhook',
            action_object_type=_content_type(Webhook),
            action_object_id=webhook.pk,
            action_data=None,
        )
        wanted = {_content_type(model).pk for model in watched()}
        if set(rule.object_types.values_list('pk', flat=True)) != wanted:
            rule.object_types.set(wanted)
        type(boot_server).objects.filter(pk=boot_server.pk).update(webhook_id=webhook.pk, event_rule_id=rule.pk)
    return webhook, rule


def remove(boot_server_id: int, *, user: Any = None) -> None:
    """Remove the boot server's Webhook and EventRule, if it has any.  Permission: feed on the boot server."""
    with events.tracked(user):
        boot_server = _lock(boot_server_id)
        type(boot_server).objects.filter(pk=boot_server.pk).update(webhook_id=None, event_rule_id=None)
        discard(boot_server)


def discard(boot_server: Any) -> None:
    """Delete the Webhook and EventRule that a boot server owned."""
    from extras.models import EventRule, Webhook

    for model, pk in ((EventRule, boot_server.event_rule_id), (Webhook, boot_server.webhook_id)):
        if found := model.objects.filter(pk=pk).first():
            found.delete()


def watched() -> list[Any]:
    """The models whose changes may change a feed: those of the tables that its triggers watch."""
    from netbox.models.features import has_feature

    with connection.cursor() as cursor:
        tables = {tracked.table for tracked in changes.tracked(cursor)}
    return [
        model
        for model in apps.get_models()
        if model._meta.db_table in tables and has_feature(_content_type(model), 'event_rules')
    ]


def _content_type(model: Any) -> Any:
    from django.contrib.contenttypes.models import ContentType

    return ContentType.objects.get_for_model(model, for_concrete_model=False)


def _lock(boot_server_id: int) -> Any:
    from ..models import BootServer

    return BootServer.objects.select_for_update(of=('self',)).get(pk=boot_server_id)


def _free_name(model: Any, boot_server: Any, own: int | None) -> str:
    """The boot server's name, with its number where somebody else has taken that."""
    name = f'Substruct: {boot_server.name}'[:LONGEST_NAME]
    if model.objects.filter(name=name).exclude(pk=own).exists():
        name = f'Substruct: {boot_server.name}'[: LONGEST_NAME - 25] + f' (boot server {boot_server.pk})'
    return name


def _write(obj: Any, **values: Any) -> None:
    """Save an object if any of the values differs, or if it is new."""
    differs = {name: value for name, value in values.items() if getattr(obj, name) != value}
    if obj.pk and not differs:
        return
    if obj.pk:
        obj.snapshot()
    for name, value in differs.items():
        setattr(obj, name, value)
    try:
        obj.full_clean()
    except ValidationError as error:
        raise BadHook('; '.join(error.messages)) from error
    with transaction.atomic():
        obj.save()
