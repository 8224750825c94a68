"""What event rules of NetBox can do with Substruct: start a build.  NetBox looks for the list here."""

from typing import Any

import msgspec
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from core.choices import JobNotificationChoices
from netbox.event_rules import EventRuleAction

from .automation import starting
from .lifecycle import branches
from .models import Profile

__all__ = ('StartBuildAction', 'event_rule_actions')


class StartBuildAction(EventRuleAction):
    slug = 'substruct.build'
    label = _('Start a build')
    description = _('Build the device, virtual machine or machine with a profile; its disks are erased')
    object_model = Profile
    object_required = False
    object_label = _('Profile (if empty: the machine’s own)')

    def validate(self, *, action_object: Any, action_data: Any) -> None:
        try:
            settings = starting.settings_of(action_data)
        except msgspec.ValidationError as error:
            raise ValidationError({'action_data': str(error)}) from error
        if settings.user is not None:
            from users.models import User

            if not User.objects.filter(username=settings.user, is_active=True).exists():
                raise ValidationError(
                    {'action_data': _('There is no active user “{user}”.').format(user=settings.user)}
                )

    def resolve_import_object(self, value: str) -> Any:
        return Profile.objects.get(slug=value)

    def enqueue(self, *, event_rule: Any, event_context: Any, action_object: Any, action_data: Any) -> None:
        from .automation.job import StartBuild

        object_type = '{}.{}'.format(*event_context['object_type'].natural_key())
        try:
            # Not `action_data`: there the object's own fields stand over what the rule says.
            settings = starting.settings_of(event_rule.action_data)
        except msgspec.ValidationError:
            settings = starting.Settings()  # the job says in the journal what is wrong with it
        snapshots = event_context.get('snapshots')
        if not starting.counts(settings, object_type, event_context['event_type'], snapshots):
            return
        if branches.active() is not None:
            return  # it is only planned
        obj, user, request = (event_context.get(name) for name in ('object', 'user', 'request'))
        StartBuild.enqueue(
            user=user,
            notifications=JobNotificationChoices.NOTIFICATION_NEVER,  # what is refused is an event itself
            trigger={
                'rule': event_rule.pk,
                'object_type': object_type,
                'object': obj.pk,
                'event_type': event_context['event_type'],
                'user': user.pk if user is not None else None,
                'request': str(request.id) if request is not None else None,
                'snapshots': snapshots,
            },
        )


event_rule_actions = [StartBuildAction]
