"""Adopting a discovered machine: a form, a review of everything that would be written, and doing it; and its facts."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.shortcuts import redirect, render
from django.utils.html import escape, format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from netbox.context import current_request
from netbox.views import generic
from netbox.views.generic.base import BaseObjectView
from utilities.forms import restrict_form_fields
from utilities.permissions import get_permission_for_model
from utilities.views import GetReturnURLMixin, ViewTab, register_model_view

from ..discovery import adoption, devicetypes, difference, keeping, matching
from ..discovery.errors import Stale
from ..discovery.parts import Makers, capacity, gib
from ..forms.adoption import ADOPTION_FORMS, MAPPED, mapping_choices
from ..lifecycle.errors import LifecycleError
from ..models import FactSet, Machine
from .base import moving
from .lines import sections

__all__ = ('MachineAdoptView', 'MachineFactsView')

MACHINES = Machine.objects.select_related('device__site', 'device__device_type', 'virtual_machine__site')


@register_model_view(Machine, 'adopt')
class MachineAdoptView(GetReturnURLMixin, BaseObjectView):
    """GET: the form.  POST: the review, the form again (`_edit`), or doing it (`_confirm`)."""

    queryset = MACHINES

    def get_required_permission(self):
        return get_permission_for_model(Machine, 'change')

    def get_object(self, **kwargs):
        """Only for who may see the facts of the machine: what is made of them tells what they say."""
        machine = super().get_object(**kwargs)
        if not keeping.may_view(keeping.current(machine)[0], self.request.user):
            raise PermissionDenied
        return machine

    def get(self, request, **kwargs):
        machine = self.get_object(**kwargs)
        chosen, notes = adoption.defaults(machine)
        way = request.GET.get('way')
        if way not in ADOPTION_FORMS:
            way = 'known' if {'device', 'virtual_machine'} & set(request.GET) else chosen.kind
        initial = {name: getattr(chosen, name) for name in adoption.Choices.__struct_fields__}
        if way == 'virtual-machine' or not initial['status']:
            initial['status'] = 'planned'
        initial |= {name: value for name, value in request.GET.items() if name in initial}
        return self.form_page(request, machine, way, ADOPTION_FORMS[way][1](initial=initial), notes)

    def post(self, request, **kwargs):
        machine = self.get_object(**kwargs)
        way = request.POST.get('way')
        if way not in ADOPTION_FORMS:
            way = 'device'
        form = ADOPTION_FORMS[way][1](request.POST)
        restrict_form_fields(form, request.user)
        if not form.is_valid() or '_edit' in request.POST:
            return self.form_page(request, machine, way, form)
        choices = form.choices()
        problem = ''
        accepted = set(request.POST.getlist('accept')) if 'confirm' in request.POST else None
        if '_confirm' in request.POST:
            try:
                with moving(self, Machine):
                    outcome = adoption.carry_out(
                        machine, choices, request.POST.get('confirm', ''), accept=accepted, user=request.user
                    )
            except LifecycleError as error:
                problem = str(error)
                if isinstance(error, Stale):
                    accepted = None
            else:
                return self.done(request, outcome)
            machine = self.get_object(**kwargs)
        proposal = adoption.propose(machine, choices, user=request.user)
        if proposal.problems:
            form.note(proposal.problems)
            return self.form_page(request, machine, way, form)
        mapping = {
            f'interface:{port.name}': (
                port.name,
                mapping_choices(port.name, proposal.ports),
                choices.interfaces.get(port.name, ''),
            )
            for port in keeping.current(machine)[1].facts.ports
        }
        return render(
            request,
            'netbox_substruct/machine_adopt_review.html',
            {
                'object': machine,
                'way': way,
                'proposal': proposal,
                'problem': problem,
                'sections': sections(proposal.lines, request.user, accepted, mapping),
                'hidden': [(name, value) for name, value in self.sent(form)],
                'map_prefix': MAPPED,
                'return_url': self.get_return_url(request, machine),
            },
        )

    @staticmethod
    def sent(form):
        """What was sent of the form, to be sent again with the review."""
        for name in form.fields:
            for value in form.data.getlist(name):
                yield name, value

    def form_page(self, request, machine, way, form, notes=()):
        restrict_form_fields(form, request.user)
        facts_set, reading = keeping.current(machine)
        if 'device_type' in form.fields:
            found = devicetypes.find(reading.facts, Makers())
            # NetBox shows help texts as HTML, and this one holds what the machine says of itself.
            form.fields['device_type'].help_text = escape(
                _('If empty: {type}').format(type=f'{found.device_type.manufacturer} {found.device_type.model}')
                if found.device_type is not None
                else found.why
            )
        return render(
            request,
            'netbox_substruct/machine_adopt.html',
            {
                'object': machine,
                'way': way,
                'ways': [(name, label) for name, (label, _form) in ADOPTION_FORMS.items()],
                'form': form,
                'notes': notes,
                'facts': facts_set and reading.facts,
                'may_adopt': True,
                'candidates': matching.candidates(machine, reading.facts, user=request.user),
                'return_url': self.get_return_url(request, machine),
            },
        )

    def done(self, request, outcome):
        obj, written = outcome.object, outcome.written
        messages.success(
            request,
            format_html(
                _('{} is now {}: {} objects made, {} changed'),
                format_html('<a href="{}">{}</a>', outcome.machine.get_absolute_url(), _('The machine')),
                format_html('<a href="{}">{}</a>', obj.get_absolute_url(), obj),
                len(written.created),
                len(written.updated),
            ),
        )
        return redirect(outcome.machine.get_absolute_url())


def _may_view_facts(machine):
    request = current_request.get()
    return request is not None and request.user.has_perm('netbox_substruct.view_factset')


def _seen_facts(machine):
    """How many sets of facts there are that the user may view."""
    request = current_request.get()
    return FactSet.objects.restrict(request.user, 'view').filter(machine=machine).count() if request else 0


@register_model_view(Machine, 'facts')
class MachineFactsView(generic.ObjectView):
    """What the machine says of itself, beside what NetBox holds; POST writes accepted lines into NetBox."""

    queryset = MACHINES
    template_name = 'netbox_substruct/machine_facts.html'
    actions = ()
    additional_permissions = ('netbox_substruct.view_factset',)
    tab = ViewTab(
        label=gettext_lazy('Facts'),
        badge=_seen_facts,
        visible=_may_view_facts,
        permission='netbox_substruct.view_factset',
        weight=450,
        hide_if_empty=True,
    )

    def get_extra_context(self, request, instance):
        facts_set, reading = keeping.current(instance)
        if not keeping.may_view(facts_set, request.user):
            facts_set, reading = None, None
        obj = instance.object
        hidden = obj is not None and not type(obj).objects.restrict(request.user, 'view').filter(pk=obj.pk).exists()
        found = None if hidden or facts_set is None else difference.difference(instance, user=request.user)
        return {
            'facts_set': facts_set,
            'facts': reading.facts if reading else None,
            'problems': reading.problems if reading else (),
            'memory': [(module, gib(module.size_bytes)) for module in reading.facts.memory.modules if module.size_bytes]
            if reading
            else [],
            'disks': [(disk, capacity(disk.size_bytes)) for disk in reading.facts.disks] if reading else [],
            'total_memory': gib(reading.facts.memory_bytes) if reading and reading.facts.memory_bytes else '',
            'difference': found,
            'sections': sections(found.lines, request.user, accepted=()) if found else [],
            'may_accept': request.user.has_perm('netbox_substruct.change_machine', instance),
            'may_adopt': adoption.offered(instance, request.user),
            'candidates': matching.candidates(instance, reading.facts, user=request.user)
            if reading and obj is None
            else [],
        }

    def post(self, request, **kwargs):
        machine = self.get_object(**kwargs)
        if not request.user.has_perm('netbox_substruct.change_machine', machine):
            return self.handle_no_permission()
        try:
            with moving(self, Machine):
                written = difference.accept(
                    machine, request.POST.getlist('accept'), request.POST.get('confirm', ''), user=request.user
                )
        except LifecycleError as error:
            messages.error(request, str(error))
        else:
            messages.success(
                request,
                _('{created} objects made, {updated} changed, {deleted} removed').format(
                    created=len(written.created), updated=len(written.updated), deleted=len(written.deleted)
                ),
            )
        return redirect(request.path)
