"""Buttons of what can be done with machines, builds and tasks.

Each is shown to those who may use it on that very object, and where the state permits it; the page behind it checks
both again.
"""

from django.utils.translation import gettext_lazy as _

from netbox.object_actions import AddObject, BulkImport, ObjectAction

from ..choices import BuildStateChoices as BuildState
from ..choices import MachineStateChoices as State
from ..choices import TaskStateChoices
from ..discovery import adoption
from ..lifecycle import retrying
from ..lifecycle.states import BUILD_MOVES, MACHINE_MOVES, TASK_OPEN

__all__ = (
    'OF_BUILD',
    'AdoptMachine',
    'AskNextBoot',
    'BuildMachine',
    'BuildSelected',
    'CancelBuild',
    'CancelTask',
    'ImportBuilds',
    'RegisterMachine',
    'RegisterSelected',
    'RequestBuild',
    'RetireMachine',
    'RetryBuild',
    'RetryTask',
    'StopBuild',
    'put_beneath',
)


class Button(ObjectAction):
    """A button of one object.  `permission` is asked for the object, so that object-level constraints count."""

    template_name = 'netbox_substruct/buttons/link.html'
    url_kwargs = ('pk',)
    permission = ''
    color = 'primary'
    icon = ''

    @classmethod
    def possible(cls, obj) -> bool:
        """Whether the state of the object permits it."""
        return True

    @classmethod
    def get_context(cls, context, obj):
        return {'color': cls.color, 'icon': cls.icon}

    @classmethod
    def offered(cls, user, obj) -> bool:
        return user.has_perm(cls.permission, obj) and cls.possible(obj)

    @classmethod
    def render(cls, context, obj, **kwargs):
        if not cls.offered(context['request'].user, obj):
            return ''
        return super().render(context, obj, **kwargs)


class BuildMachine(Button):
    name = 'build'
    label = _('Build')
    permission = 'netbox_substruct.build_machine'
    color = 'green'
    icon = 'hammer-wrench'

    @classmethod
    def possible(cls, obj):
        return State.STATE_BUILDING in MACHINE_MOVES[obj.state] and obj.active_build is None


class StopBuild(Button):
    """On a build itself."""

    name = 'cancel'
    label = _('Cancel build')
    permission = 'netbox_substruct.cancel_build'
    color = 'red'
    icon = 'cancel'

    @classmethod
    def possible(cls, obj):
        return BuildState.STATE_CANCELLED in BUILD_MOVES[obj.state]


class RetryBuild(Button):
    """On a build that did not succeed and is the last of its machine."""

    name = 'retry'
    label = _('Try again')
    color = 'green'
    icon = 'restart'

    @classmethod
    def offered(cls, user, obj):
        return (
            obj.state in retrying.RETRIED
            and user.has_perm('netbox_substruct.build_machine', obj.machine)
            and retrying.refusal(obj, retrying.later_than(obj)) is None
        )


# What can be done about a build itself; it changes with its state.
OF_BUILD = (StopBuild, RetryBuild)


class CancelBuild(StopBuild):
    """On a machine: cancels the build that is under way."""

    @classmethod
    def render(cls, context, obj, **kwargs):
        build = obj.active_build
        return super().render(context, build, **kwargs) if build is not None else ''


class AskNextBoot(Button):
    name = 'next_boot'
    label = _('Next boot')
    permission = 'netbox_substruct.build_machine'
    color = 'cyan'
    icon = 'restart'

    @classmethod
    def possible(cls, obj):
        return obj.state != State.STATE_RETIRED and obj.active_build is None


class AdoptMachine(Button):
    """Makes a discovered machine a device or virtual machine."""

    name = 'adopt'
    label = _('Adopt')
    permission = 'netbox_substruct.change_machine'
    color = 'green'
    icon = 'server-plus'

    @classmethod
    def offered(cls, user, obj):
        return adoption.offered(obj, user)


class RegisterMachine(Button):
    """Takes a retired machine into use again; a discovered one is adopted."""

    name = 'register'
    label = _('Register')
    permission = 'netbox_substruct.change_machine'
    icon = 'check'

    @classmethod
    def possible(cls, obj):
        return obj.state == State.STATE_RETIRED


class RetireMachine(Button):
    name = 'retire'
    label = _('Retire')
    permission = 'netbox_substruct.change_machine'
    color = 'secondary'
    icon = 'archive-outline'

    @classmethod
    def possible(cls, obj):
        return State.STATE_RETIRED in MACHINE_MOVES[obj.state]


class CancelTask(Button):
    name = 'cancel'
    label = _('Cancel')
    permission = 'netbox_substruct.change_task'
    color = 'red'
    icon = 'cancel'

    @classmethod
    def possible(cls, obj):
        return obj.state in TASK_OPEN


class RetryTask(Button):
    name = 'retry'
    label = _('Try again')
    permission = 'netbox_substruct.change_task'
    icon = 'restart'

    @classmethod
    def possible(cls, obj):
        return obj.state == TaskStateChoices.STATE_FAILED


#
# Of lists
#


class OnMachines:
    """A button of a list of builds whose permission is that on machines, not "add" on builds."""

    permissions_required = frozenset()

    @classmethod
    def render(cls, context, obj, **kwargs):
        if not context['request'].user.has_perm('netbox_substruct.build_machine'):
            return ''
        return super().render(context, obj, **kwargs)


class RequestBuild(OnMachines, AddObject):
    label = _('Request a build')


class ImportBuilds(OnMachines, BulkImport):
    pass


class Selected(ObjectAction):
    """A button beneath a list, for the rows that are ticked."""

    template_name = 'netbox_substruct/buttons/selected.html'
    multi = True
    permission = ''
    color = 'green'
    icon = ''

    @classmethod
    def get_context(cls, context, obj):
        return {'color': cls.color, 'icon': cls.icon}

    @classmethod
    def render(cls, context, obj, **kwargs):
        if not context['request'].user.has_perm(cls.permission):
            return ''
        return super().render(context, obj, **kwargs)


def put_beneath(view, button):
    """Put a button beneath the list of a view of NetBox's own.

    NetBox has no hook for that; its list views keep their buttons in an attribute, which is extended for as long as the
    process lives.  `list_buttons` of a template extension stand outside the form with the ticked rows, so a button
    there could not send them.
    """
    if button not in view.actions:
        view.actions = (*view.actions, button)


class BuildSelected(Selected):
    name = 'bulk_build'
    label = _('Build Selected')
    permissions_required = frozenset({'build'})
    permission = 'netbox_substruct.build_machine'
    icon = 'hammer-wrench'


class RegisterSelected(Selected):
    """On the lists of devices and of virtual machines."""

    name = 'bulk_substruct_register'
    label = _('Register for Provisioning')
    permission = 'netbox_substruct.add_machine'
    icon = 'server-plus'
