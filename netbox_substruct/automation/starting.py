"""An event rule's "start a build": whether it does, doing it, and saying why not.

A rule acts without anybody who looks, and a build erases disks.  So everything that would stop a person stops it too,
and more: it acts with somebody's permission, on a change and not on every save, never on a change that a build has made
itself, and so many times an hour.  What it did not do stands in the journal, and is an event.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

import msgspec
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from core.events import OBJECT_UPDATED
from core.models import ObjectChange

from ..lifecycle import builds, events, machines, payloads
from ..lifecycle.errors import LifecycleError

# What a rule can be told of, and the fields whose change counts where it names none.
WATCHED: Mapping[str, tuple[str, ...]] = {
    'dcim.device': ('status',),
    'virtualization.virtualmachine': ('status',),
    'netbox_substruct.machine': ('profile',),
}
HOUR = timedelta(hours=1)


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the rule's "action data" may say."""

    user: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    limit_per_hour: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 10
    override: list[str] = []
    register: bool = False
    when_changed: Annotated[list[str], msgspec.Meta(min_length=1)] | None = None


class Refused(LifecycleError):
    """The rule does not start a build."""

    def __init__(self, code: str, why: str) -> None:
        self.code = code
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class Trigger:
    """What happened: the event rule, the object that it was told of, and who did it."""

    rule: int
    object_type: str
    object: int
    event_type: str
    user: int | None
    request: str | None
    snapshots: Mapping[str, Any] | None


def settings_of(action_data: Any) -> Settings:
    """Raises msgspec.ValidationError, whose text names the place."""
    return msgspec.convert(action_data or {}, Settings)


def counts(settings: Settings, object_type: str, event_type: str, snapshots: Mapping[str, Any] | None) -> bool:
    """Whether an event is a change that counts.  Pure.

    A device that is staged stays so while people edit its description: only the change to what the rule waits for may
    start a build, and not each later save.
    """
    if event_type == events.BUILD_REFUSED:
        return False  # it would be told of its own refusal, for ever
    if event_type != OBJECT_UPDATED:
        return True
    before, after = (snapshots or {}).get('prechange'), (snapshots or {}).get('postchange')
    if not before or not after:
        return False
    fields = settings.when_changed or WATCHED.get(object_type, ())
    return any(before.get(field) != after.get(field) for field in fields)


def start(trigger: Trigger) -> Any:
    """Start the build that a rule asks for, in the name of its user; gives the Build, or None where it was refused."""
    from django.apps import apps

    from extras.models import EventRule

    obj = apps.get_model(trigger.object_type).objects.filter(pk=trigger.object).first()
    if obj is None:
        return None
    rule = EventRule.objects.filter(pk=trigger.rule).first()
    user = None
    try:
        if rule is None or not rule.enabled:
            raise Refused('changed', _('the rule was deleted or switched off meanwhile'))
        settings = _settings(rule)
        user = _user(settings, trigger)
        with events.tracked(user):
            return _start(trigger, rule, settings, obj, user)
    except LifecycleError as error:
        refuse(obj, error, user=user, rule=str(rule) if rule is not None else f'#{trigger.rule}')
        return None
    except Exception as error:
        refuse(obj, Refused('error', f'{type(error).__name__}: {error}'[:500]), user=user, rule=str(rule))
        raise


def refuse(obj: Any, error: LifecycleError, *, user: Any, rule: str) -> None:
    """Write into the journal what a rule did not do, and why, and tell it."""
    from extras.choices import JournalEntryKindChoices
    from extras.models import JournalEntry

    machine = _machine_of(obj)
    place = (machine.object if machine is not None else None) or obj
    reason = str(error)
    with events.tracked(user):
        JournalEntry.objects.create(
            assigned_object=place,
            created_by=user,
            kind=JournalEntryKindChoices.KIND_WARNING,
            comments=_('The event rule “{rule}” did not start a build: {reason}').format(rule=rule, reason=reason),
        )
        events.emit(
            place,
            events.BUILD_REFUSED,
            lambda time: payloads.refused(place, machine, rule=rule, reason=reason, code=error.code, time=time),
        )


def _start(trigger: Trigger, rule: Any, settings: Settings, obj: Any, user: Any) -> Any:
    from extras.models import EventRule

    # Two workers do not both take the last build of the hour.
    EventRule.objects.select_for_update(of=('self',)).get(pk=rule.pk)
    if trigger.object_type not in WATCHED:
        raise Refused(
            'not-allowed', _('it was told of a {kind}; only devices, virtual machines and machines are built').format(
                kind=obj._meta.verbose_name)
        )  # fmt: skip
    if trigger.event_type == OBJECT_UPDATED and not _still(rule, obj, trigger):
        raise Refused('changed', _('{object} was changed again meanwhile, and the rule no longer applies').format(
            object=obj))  # fmt: skip
    machine = _machine_of(obj)
    if machine is None:
        machine = _register(obj, settings, user)
    _check_loop(machine, trigger)
    _check_permission(machine, user)
    _check_limit(rule, settings)
    override = next((name for name in settings.override if name == machine.name), '')
    return builds.request(
        machine, user=user, profile=rule.action_object, override=override,
        description=_('By the event rule “{rule}”').format(rule=rule)[:200], origin={'event_rule': rule.pk},
    )  # fmt: skip


def _settings(rule: Any) -> Settings:
    try:
        return settings_of(rule.action_data)
    except msgspec.ValidationError as error:
        raise Refused('invalid', _('its action data is not what it should be: {why}').format(why=error)) from error


def _user(settings: Settings, trigger: Trigger) -> Any:
    """The user whose permission is asked: who is named in the rule, else who made the change."""
    from users.models import User

    if settings.user is not None:
        user = User.objects.filter(username=settings.user).first()
        if user is None:
            raise Refused('no-user', _('there is no user {user}').format(user=settings.user))
    else:
        user = User.objects.filter(pk=trigger.user).first() if trigger.user is not None else None
        if user is None:
            raise Refused(
                'no-user',
                _('nobody made the change, and the rule names no user; give one as "user" in its action data'),
            )
    if not user.is_active:
        raise Refused('no-user', _('the user {user} is not active').format(user=user))
    return user


def _still(rule: Any, obj: Any, trigger: Trigger) -> bool:
    """Whether the rule's conditions hold now: a worker may come to it long after the change."""
    from extras.events import serialize_for_event

    data = dict(serialize_for_event(obj))
    data['snapshots'] = trigger.snapshots
    return bool(rule.eval_conditions(data))


def _machine_of(obj: Any) -> Any:
    from ..models import Machine

    if isinstance(obj, Machine):
        return obj
    field = 'device' if obj._meta.label_lower == 'dcim.device' else 'virtual_machine'
    if obj._meta.label_lower not in WATCHED:
        return None
    return Machine.objects.filter(**{field: obj}).first()


def _register(obj: Any, settings: Settings, user: Any) -> Any:
    from ..models import Machine

    if not settings.register:
        raise Refused(
            'not-registered',
            _(
                '{object} is not registered as a machine; register it, or let the rule do it with "register": true'
            ).format(object=obj),
        )
    with transaction.atomic():
        machine = machines.register(obj, user=user)
        if not Machine.objects.restrict(user, 'add').filter(pk=machine.pk).exists():
            raise Refused('not-permitted', _('{user} may not register {object}').format(user=user, object=obj))
    return machine


def _check_loop(machine: Any, trigger: Trigger) -> None:
    """What a build itself changed (the status when built, say) starts no other."""
    from ..models import Build

    if trigger.request is None:
        return
    own = ObjectChange.objects.filter(
        request_id=trigger.request,
        changed_object_type=ContentType.objects.get_for_model(Build),
        changed_object_id__in=machine.builds.values('pk'),
    )
    if (change := own.first()) is not None:
        raise Refused('loop', _('the change was made by build #{build} itself').format(build=change.changed_object_id))


def _check_permission(machine: Any, user: Any) -> None:
    from ..models import Machine

    if not Machine.objects.restrict(user, 'build').filter(pk=machine.pk).exists():
        raise Refused('not-permitted', _('{user} may not build {machine}').format(user=user, machine=machine))


def _check_limit(rule: Any, settings: Settings) -> None:
    from ..models import Build

    begun = Build.objects.filter(request__origin__event_rule=rule.pk, created__gt=timezone.now() - HOUR).count()
    if begun >= settings.limit_per_hour:
        raise Refused(
            'limit',
            _('it has started {count} builds in the last hour, and may start {limit}; a wave builds many machines, '
              'or give another "limit_per_hour" in its action data').format(count=begun, limit=settings.limit_per_hour),
        )  # fmt: skip
