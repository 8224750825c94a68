"""Pages of what is done with one machine, build or task (`bulkactions`: with many).

A GET shows what will happen and asks; a POST does it, through `lifecycle`, and shows its reason when it refuses.
"""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.shortcuts import redirect, render
from django.utils.html import format_html
from django.utils.translation import gettext as _

from dcim.models import Device
from netbox.views.generic.base import BaseObjectView
from utilities.forms import ConfirmationForm, restrict_form_fields
from utilities.permissions import get_permission_for_model
from utilities.views import GetReturnURLMixin, register_model_view
from virtualization.models import VirtualMachine

from .. import forms, power
from ..choices import MachineStateChoices, NextBootChoices, PowerActionChoices
from ..forms.retrying import RetryBuildForm
from ..lifecycle import builds, guarding, machines, retrying, tasks
from ..lifecycle.errors import LifecycleError
from ..models import Build, Machine, Task
from ..permitted import covered
from .base import moving

__all__ = (
    'BuildCancelView',
    'BuildRetryView',
    'DeviceRegisterView',
    'MachineBuildView',
    'MachineNextBootView',
    'MachinePowerView',
    'MachineRegisterView',
    'MachineRetireView',
    'TaskCancelView',
    'TaskRetryView',
    'VirtualMachineRegisterView',
)


class ActionView(GetReturnURLMixin, BaseObjectView):
    """One action on one object: a form, and the move behind it."""

    template_name = 'netbox_substruct/action.html'
    form = ConfirmationForm
    action = ''  # the permission
    title = ''
    message = ''
    button_label = ''
    button_class = 'primary'

    def get_required_permission(self):
        return get_permission_for_model(self.queryset.model, self.action)

    def form_kwargs(self, obj):
        return {}

    def describe(self, obj) -> dict[str, object]:
        """What the page says: title, message, and the button."""
        return {
            'title': self.title.format(object=obj),
            'message': self.message.format(object=obj),
            'button_label': self.button_label,
            'button_class': self.button_class,
        }

    def act(self, request, obj, data):
        """Do it; the object to show afterwards."""
        raise NotImplementedError

    def done(self, obj) -> str:
        """What is said when it is done."""
        raise NotImplementedError

    def page(self, request, obj, form):
        return render(
            request,
            self.template_name,
            {
                'object': obj,
                'form': form,
                'return_url': self.get_return_url(request, obj),
                **self.describe(obj),
                **self.get_extra_context(request, obj),
            },
        )

    def get(self, request, **kwargs):
        obj = self.get_object(**kwargs)
        form = self.form(initial=request.GET.dict(), **self.form_kwargs(obj))
        restrict_form_fields(form, request.user)
        return self.page(request, obj, form)

    def post(self, request, **kwargs):
        obj = self.get_object(**kwargs)
        form = self.form(request.POST, **self.form_kwargs(obj))
        restrict_form_fields(form, request.user)
        if form.is_valid():
            try:
                with moving(self, self.queryset.model):
                    result = self.act(request, obj, form.cleaned_data)
            except LifecycleError as error:
                form.add_error(None, str(error))
            else:
                messages.success(request, self.done(result))
                return redirect(self.get_return_url(request, result))
        return self.page(request, obj, form)


def link(obj):
    return format_html('<a href="{}">{}</a>', obj.get_absolute_url(), obj)


@register_model_view(Machine, 'build')
class MachineBuildView(ActionView):
    queryset = Machine.objects.select_related('device__site', 'virtual_machine__site', 'profile')
    form = forms.BuildMachineForm
    action = 'build'
    button_class = 'danger'

    def form_kwargs(self, obj):
        return {'guard': guarding.guard(obj)}

    def describe(self, obj):
        return {
            'title': _('Build {machine}').format(machine=obj),
            'message': _('A build installs the machine anew. Everything on its disks is erased.'),
            'button_label': _('Build'),
            'button_class': self.button_class,
        }

    def get_extra_context(self, request, instance):
        return {'machine': instance, 'preflight': True}

    def act(self, request, obj, data):
        return builds.request(
            obj,
            user=request.user,
            profile=data['profile'],
            override=data.get('override', ''),
            description=data['description'],
        )

    def done(self, obj):
        return format_html(_('Requested build {}'), link(obj))


@register_model_view(Machine, 'next_boot', path='next-boot')
class MachineNextBootView(ActionView):
    queryset = Machine.objects.select_related('device', 'virtual_machine')
    form = forms.NextBootForm
    action = 'build'

    def form_kwargs(self, obj):
        return {'machine': obj}

    def describe(self, obj):
        return {
            'title': _('Next boot of {machine}').format(machine=obj),
            'message': _('It boots this once, the next time that it boots from the network; nothing is restarted now.'),
            'button_label': _('Save'),
            'button_class': 'primary',
        }

    def get(self, request, **kwargs):
        obj = self.get_object(**kwargs)
        wanted = request.GET.get('next_boot', obj.next_boot)
        return self.page(request, obj, self.form(initial={'next_boot': wanted}, machine=obj))

    def act(self, request, obj, data):
        return machines.ask(obj, data['next_boot'], override=data['name'], user=request.user)

    def done(self, obj):
        if not obj.next_boot:
            return format_html(_('{} boots as it would anyway'), link(obj))
        return format_html(_('{} boots this once: {}'), link(obj), dict(NextBootChoices)[obj.next_boot])


@register_model_view(Machine, 'power')
class MachinePowerView(ActionView):
    """To those who may add tasks: it makes one."""

    queryset = Machine.objects.select_related('device', 'virtual_machine', 'profile')
    form = forms.PowerForm
    action = 'view'
    additional_permissions = ('netbox_substruct.add_task',)

    def form_kwargs(self, obj):
        return {'guard': guarding.guard(obj)}

    def describe(self, obj):
        return {
            'title': _('Power of {machine}').format(machine=obj),
            'message': _('Whatever runs on it is interrupted, unless it is switched on or only asked.'),
            'button_label': _('Do it'),
            'button_class': 'danger',
        }

    def get_extra_context(self, request, instance):
        return {'machine': instance}

    def act(self, request, obj, data):
        return power.ask(obj, data['action'], override=data.get('override', ''), user=request.user)

    def get_return_url(self, request, obj=None):
        # What was asked stands where one came from, or on the machine's page.
        return super().get_return_url(request, obj.machine if isinstance(obj, Task) else obj)

    def done(self, obj):
        return format_html(_('Asked for: {} ({})'), dict(PowerActionChoices)[obj.parameters['action']], link(obj))


class MachineMoveView(ActionView):
    queryset = Machine.objects.select_related('device', 'virtual_machine')
    action = 'change'
    state = ''

    def act(self, request, obj, data):
        return machines.move(obj, self.state, user=request.user)

    def done(self, obj):
        return format_html(_('{} is now: {}'), link(obj), obj.get_state_display())


@register_model_view(Machine, 'register')
class MachineRegisterView(MachineMoveView):
    state = MachineStateChoices.STATE_REGISTERED

    def describe(self, obj):
        return {
            'title': _('Register {machine}').format(machine=obj),
            'message': _('It is taken into use: from now on it boots its own disk, and it can be built.'),
            'button_label': _('Register'),
            'button_class': 'primary',
        }


@register_model_view(Machine, 'retire')
class MachineRetireView(MachineMoveView):
    state = MachineStateChoices.STATE_RETIRED

    def describe(self, obj):
        return {
            'title': _('Retire {machine}').format(machine=obj),
            'message': _('It is offered nothing any more when it boots from the network, and it cannot be built.'),
            'button_label': _('Retire'),
            'button_class': 'danger',
        }


@register_model_view(Build, 'cancel')
class BuildCancelView(ActionView):
    queryset = Build.objects.select_related('machine__device', 'machine__virtual_machine')
    form = forms.CancelBuildForm
    action = 'cancel'

    def describe(self, obj):
        message = _('The machine boots its own disk from now on.')
        if obj.started:
            message = _(
                'The machine has begun with it: its disks may be half written, so it counts as failed afterwards.'
            )
        return {
            'title': _('Cancel build {build}').format(build=obj),
            'message': message,
            'button_label': _('Cancel the build'),
            'button_class': 'danger',
        }

    def act(self, request, obj, data):
        return builds.cancel(obj, user=request.user, reason=data['reason'])

    def done(self, obj):
        return format_html(_('Cancelled build {}'), link(obj))


@register_model_view(Build, 'retry')
class BuildRetryView(ActionView):
    """Permission: view on the build, build on its machine."""

    queryset = Build.objects.defer('request').select_related('machine__device', 'machine__virtual_machine', 'profile')
    form = RetryBuildForm
    action = 'view'
    additional_permissions = ('netbox_substruct.build_machine',)

    def get_object(self, **kwargs):
        build = super().get_object(**kwargs)
        if not self.request.user.has_perm('netbox_substruct.build_machine', build.machine):
            raise PermissionDenied
        return build

    def form_kwargs(self, obj):
        return {'guard': guarding.guard(obj.machine), 'profile': obj.profile_id}

    def describe(self, obj):
        profile = obj.profile or obj.machine.profile
        return {
            'title': _('Try build {build} again').format(build=obj),
            'message': _(
                'A new build of {machine} with the profile {profile} is requested. Parameters, templates and boot '
                'image are taken as they are now, not as they were. Everything on its disks is erased.'
            ).format(machine=obj.machine, profile=profile or '—'),
            'button_label': _('Try again'),
            'button_class': 'danger',
        }

    def get_extra_context(self, request, instance):
        return {'machine': instance.machine, 'preflight': True}

    def act(self, request, obj, data):
        return retrying.retry(
            obj, user=request.user, override=data.get('override', ''), description=data['description']
        )

    def done(self, obj):
        return format_html(_('Requested build {}'), link(obj))


class TaskMoveView(ActionView):
    queryset = Task.objects.all()
    action = 'change'


@register_model_view(Task, 'cancel')
class TaskCancelView(TaskMoveView):
    def describe(self, obj):
        return {
            'title': _('Cancel {task}').format(task=obj),
            'message': _('No boot server takes it up any more.'),
            'button_label': _('Cancel the task'),
            'button_class': 'danger',
        }

    def act(self, request, obj, data):
        return tasks.cancel(obj, user=request.user)

    def done(self, obj):
        return format_html(_('Cancelled {}'), link(obj))


@register_model_view(Task, 'retry')
class TaskRetryView(TaskMoveView):
    def describe(self, obj):
        return {
            'title': _('Try {task} again').format(task=obj),
            'message': _('Its attempts are counted from the beginning.'),
            'button_label': _('Try again'),
            'button_class': 'primary',
        }

    def act(self, request, obj, data):
        return tasks.retry(obj, user=request.user)

    def done(self, obj):
        return format_html(_('{} is tried again'), link(obj))


#
# Registering devices and virtual machines
#


class RegisterObjectView(ActionView):
    """From the page of a device or virtual machine: "view" on it, "add" on machines."""

    form = forms.RegisterForm
    action = 'view'
    additional_permissions = ('netbox_substruct.add_machine',)

    def describe(self, obj):
        return {
            'title': _('Register {object} for provisioning').format(object=obj),
            'message': _('Substruct knows it from now on. Nothing is built before somebody requests a build.'),
            'button_label': _('Register'),
            'button_class': 'primary',
        }

    def act(self, request, obj, data):
        machine = machines.register(obj, profile=data['profile'], user=request.user)
        covered(request.user, 'add', [machine])
        return machine

    def done(self, obj):
        return format_html(_('Registered {}'), link(obj))


@register_model_view(Device, 'substruct_register', path='substruct-register')
class DeviceRegisterView(RegisterObjectView):
    queryset = Device.objects.all()


@register_model_view(VirtualMachine, 'substruct_register', path='substruct-register')
class VirtualMachineRegisterView(RegisterObjectView):
    queryset = VirtualMachine.objects.all()
