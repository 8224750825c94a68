"""Pages of what is done with many machines at once, or with many devices and virtual machines that become machines."""

from django.contrib import messages
from django.db import router, transaction
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from core.signals import clear_events
from dcim.models import Device
from dcim.views import DeviceListView
from netbox.views.generic.base import BaseMultiObjectView
from utilities.forms import restrict_form_fields
from utilities.permissions import get_permission_for_model
from utilities.views import GetReturnURLMixin, register_model_view
from virtualization.models import VirtualMachine
from virtualization.views import VirtualMachineListView

from .. import filtersets, forms
from ..lifecycle import builds, guarding, machines
from ..lifecycle.errors import LifecycleError
from ..models import Machine
from ..permitted import covered
from .buttons import RegisterSelected, put_beneath

__all__ = (
    'DeviceBulkRegisterView',
    'MachineBulkBuildView',
    'VirtualMachineBulkRegisterView',
)


class BulkActionView(GetReturnURLMixin, BaseMultiObjectView):
    """One action on the rows ticked in a list: shown and asked first, then all of it or nothing."""

    template_name = 'netbox_substruct/bulk_action.html'
    filterset = None
    action = ''

    def get_required_permission(self):
        return get_permission_for_model(self.queryset.model, self.action)

    def selected(self, request):
        """The objects that were ticked, or all that match the list's filters, of those that the user may act on."""
        if request.POST.get('_all'):
            pks = self.filterset(request.GET, self.queryset.values_list('pk', flat=True), request=request).qs
        else:
            pks = [pk for pk in request.POST.getlist('pk') if pk.isdigit()]
        return list(self.queryset.filter(pk__in=pks))

    def get(self, request):
        return redirect(self.get_return_url(request))

    def rows(self, objects):
        """For the page: pairs of an object and a remark on it."""
        raise NotImplementedError

    def make_form(self, objects, data=None):
        raise NotImplementedError

    def act(self, request, obj, form):
        raise NotImplementedError

    def finish(self, request, results):
        """Last checks, inside the transaction."""

    def describe(self, objects):
        raise NotImplementedError

    def done(self, results) -> str:
        raise NotImplementedError

    def post(self, request):
        objects = self.selected(request)
        if not objects:
            messages.warning(
                request,
                _('No {objects} were selected.').format(objects=self.queryset.model._meta.verbose_name_plural),
            )
            return redirect(self.get_return_url(request))
        confirmed = '_confirm' in request.POST
        form = self.make_form(objects, request.POST if confirmed else None)
        restrict_form_fields(form, request.user)
        if confirmed and form.is_valid():
            refusals, results = [], []
            with transaction.atomic(using=router.db_for_write(self.queryset.model)):
                for obj in objects:
                    try:
                        with transaction.atomic():
                            results.append(self.act(request, obj, form))
                    except LifecycleError as error:
                        refusals.append(str(error))
                try:
                    self.finish(request, results)
                except LifecycleError as error:
                    refusals.append(str(error))
                if refusals:
                    transaction.set_rollback(True, using=router.db_for_write(self.queryset.model))
                    clear_events.send(sender=self)
            if not refusals:
                messages.success(request, self.done(results))
                return redirect(self.get_return_url(request))
            for refusal in refusals:
                form.add_error(None, refusal)
        return render(
            request,
            self.template_name,
            {
                'model': self.queryset.model,
                'rows': self.rows(objects),
                'pks': [obj.pk for obj in objects],
                'form': form,
                'return_url': self.get_return_url(request),
                **self.describe(objects),
            },
        )


@register_model_view(Machine, 'bulk_build', path='build', detail=False)
class MachineBulkBuildView(BulkActionView):
    queryset = Machine.objects.select_related('device__site', 'virtual_machine__site', 'profile')
    filterset = filtersets.MachineFilterSet
    action = 'build'

    def rows(self, objects):
        guards = guarding.guards(objects)
        return [(obj, guards.get(obj.pk, ''), obj.get_state_display(), obj.get_state_color()) for obj in objects]

    def make_form(self, objects, data=None):
        guards = guarding.guards(objects)
        return forms.BuildMachinesForm(data, guards=[(obj, guards.get(obj.pk)) for obj in objects])

    def act(self, request, obj, form):
        data = form.cleaned_data
        return builds.request(
            obj,
            user=request.user,
            profile=data['profile'],
            override=form.override_of(obj),
            description=data['description'],
        )

    def describe(self, objects):
        return {
            'title': _('Build {count} machines').format(count=len(objects)),
            'message': _('A build installs a machine anew. Everything on its disks is erased.'),
            'button_label': _('Build {count} machines').format(count=len(objects)),
            'button_class': 'danger',
        }

    def done(self, results):
        return _('Requested {count} builds').format(count=len(results))


class BulkRegisterView(BulkActionView):
    action = 'view'
    additional_permissions = ('netbox_substruct.add_machine',)

    def rows(self, objects):
        known = set(Machine.objects.filter(**{f'{self.field}__in': objects}).values_list(f'{self.field}_id', flat=True))
        return [
            (obj, _('registered already') if obj.pk in known else '', obj.get_status_display(), obj.get_status_color())
            for obj in objects
        ]

    def selected(self, request):
        objects = super().selected(request)
        if '_confirm' not in request.POST:
            return objects
        # Those that are registered already were shown as such, and there is nothing to do for them.
        known = set(Machine.objects.filter(**{f'{self.field}__in': objects}).values_list(f'{self.field}_id', flat=True))
        return [obj for obj in objects if obj.pk not in known] or objects

    def make_form(self, objects, data=None):
        return forms.RegisterForm(data)

    def act(self, request, obj, form):
        return machines.register(obj, profile=form.cleaned_data['profile'], user=request.user)

    def finish(self, request, results):
        covered(request.user, 'add', results)

    def describe(self, objects):
        return {
            'title': _('Register {count} {objects} for provisioning').format(
                count=len(objects), objects=self.queryset.model._meta.verbose_name_plural
            ),
            'message': _('Substruct knows them from now on. Nothing is built before somebody requests a build.'),
            'button_label': _('Register'),
            'button_class': 'primary',
        }

    def done(self, results):
        return _('Registered {count} machines').format(count=len(results))


@register_model_view(Device, 'bulk_substruct_register', path='substruct-register', detail=False)
class DeviceBulkRegisterView(BulkRegisterView):
    queryset = Device.objects.all()
    filterset = DeviceListView.filterset
    field = 'device'


@register_model_view(VirtualMachine, 'bulk_substruct_register', path='substruct-register', detail=False)
class VirtualMachineBulkRegisterView(BulkRegisterView):
    queryset = VirtualMachine.objects.all()
    filterset = VirtualMachineListView.filterset
    field = 'virtual_machine'


for view in (DeviceListView, VirtualMachineListView):
    put_beneath(view, RegisterSelected)
