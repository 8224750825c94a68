"""Provisioning on NetBox's own lists of devices and virtual machines: more columns, and more filters.

NetBox has a way for plugins to add columns.  For filters it has none, so they are entered where the class statement of
a filter set and of a filter form would have put them: pages, REST API and OpenAPI schema then know them like any other.

Whatever is shown or found goes by what the user may view of machines and builds, not by what there is.
"""

from typing import Any

import django_filters
import django_tables2 as tables
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field

from netbox.context import current_request
from utilities.forms.fields import DynamicModelMultipleChoiceField, MultipleChoiceField
from utilities.forms.rendering import FieldSet
from utilities.tables import register_table_column

from .choices import BuildStateChoices, MachineStateChoices
from .models import Build, Machine, Profile

# ---------------------------------------------------------------------- columns


class _Shown:
    """The machines and newest builds of the rows of one table, read at once: two queries, however many rows."""

    def __init__(self, table: Any) -> None:
        request = current_request.get()
        self.machines: dict[int, Any] = {}
        self.builds: dict[int, Any] = {}
        if request is None:
            return
        page = getattr(table, 'page', None)
        rows = page.object_list.data if page is not None else table.data
        field = field_of(table.Meta.model)
        found = Machine.objects.restrict(request.user, 'view').select_related('profile')
        self.machines = {
            getattr(machine, f'{field}_id'): machine
            for machine in found.filter(**{f'{field}_id__in': [row.pk for row in rows]})
        }
        builds = Build.objects.restrict(request.user, 'view').defer('request')
        newest = builds.filter(machine__in=[machine.pk for machine in self.machines.values()])
        self.builds = {build.machine_id: build for build in newest.order_by('machine_id', '-pk').distinct('machine_id')}

    @classmethod
    def of(cls, table: Any) -> '_Shown':
        if not hasattr(table, '_substruct'):
            table._substruct = cls(table)
        shown: _Shown = table._substruct
        return shown


def field_of(model: Any) -> str:
    """Which relation of a machine leads to this model."""
    return 'device' if model._meta.label_lower == 'dcim.device' else 'virtual_machine'


class _Column(tables.Column):
    """What is shown of the machine that a row is."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(accessor='pk', orderable=False, **kwargs)

    def cell(self, shown: _Shown, machine: Any) -> tuple[str, str, str] | None:
        """The text, the address that it links to, and the colour of its badge or ''; None where there is nothing."""
        raise NotImplementedError

    def _cell(self, record: Any, table: Any) -> tuple[str, str, str] | None:
        shown = _Shown.of(table)
        machine = shown.machines.get(record.pk)
        return self.cell(shown, machine) if machine is not None else None

    def render(self, record: Any, table: Any) -> str:
        cell = self._cell(record, table)
        if cell is None:
            return self.default or '—'
        text, url, colour = cell
        if not colour:
            return format_html('<a href="{}">{}</a>', url, text)
        return format_html('<a href="{}"><span class="badge text-bg-{}">{}</span></a>', url, colour, text)

    def value(self, record: Any, table: Any) -> str | None:
        cell = self._cell(record, table)
        return str(cell[0]) if cell is not None else None


class StateColumn(_Column):
    def cell(self, shown: _Shown, machine: Any) -> tuple[str, str, str] | None:
        return machine.get_state_display(), machine.get_absolute_url(), machine.get_state_color()


class ProfileColumn(_Column):
    def cell(self, shown: _Shown, machine: Any) -> tuple[str, str, str] | None:
        return (machine.profile.name, machine.profile.get_absolute_url(), '') if machine.profile is not None else None


class LastBuildColumn(_Column):
    def cell(self, shown: _Shown, machine: Any) -> tuple[str, str, str] | None:
        build = shown.builds.get(machine.pk)
        if build is None:
            return None
        return f'#{build.pk} {build.get_state_display()}', build.get_absolute_url(), build.get_state_color()


# ---------------------------------------------------------------------- filters


class _OfMachine:
    """A filter of devices or virtual machines by what the user may view of their machines."""

    def machines(self) -> Any:
        request = self.parent.request  # type: ignore[attr-defined]
        return Machine.objects.restrict(request.user, 'view') if request is not None else Machine.objects.all()

    def builds(self) -> Any:
        request = self.parent.request  # type: ignore[attr-defined]
        return Build.objects.restrict(request.user, 'view') if request is not None else Build.objects.all()

    def matching(self, value: Any) -> Any:
        """The machines that are meant."""
        raise NotImplementedError

    def filter(self, qs: Any, value: Any) -> Any:
        if not value:
            return qs
        field = field_of(qs.model)
        return qs.filter(pk__in=self.matching(value).filter(**{f'{field}__isnull': False}).values(field))


class StateFilter(_OfMachine, django_filters.MultipleChoiceFilter):
    def matching(self, value: Any) -> Any:
        return self.machines().filter(state__in=value)


@extend_schema_field({'type': 'array', 'items': {'type': 'integer'}})
class ProfileFilter(_OfMachine, django_filters.ModelMultipleChoiceFilter):
    def matching(self, value: Any) -> Any:
        return self.machines().filter(profile__in=value)


class LastBuildFilter(_OfMachine, django_filters.MultipleChoiceFilter):
    def matching(self, value: Any) -> Any:
        newest = self.builds().order_by('machine_id', '-pk').distinct('machine_id').values('pk')
        return self.machines().filter(builds__in=Build.objects.filter(pk__in=newest, state__in=value))


def _filters() -> dict[str, Any]:
    # `lookup_expr` keeps NetBox from making lookups of them (`__n`, `__empty`), which would not know whose machines;
    # the field's name only tells the OpenAPI schema of the type.
    return {
        'substruct_state': StateFilter(
            field_name='status', choices=MachineStateChoices, label=_('Provisioning state'), lookup_expr='state'
        ),
        'substruct_profile_id': ProfileFilter(
            field_name='pk', queryset=Profile.objects.all(), label=_('Profile (ID)'), lookup_expr='profile'
        ),
        'substruct_last_build': LastBuildFilter(
            field_name='status', choices=BuildStateChoices, label=_('State of the last build'), lookup_expr='state'
        ),
    }  # fmt: skip


def _form_fields() -> dict[str, Any]:
    return {
        'substruct_state': MultipleChoiceField(
            choices=MachineStateChoices, required=False, label=_('Provisioning state')
        ),
        'substruct_profile_id': DynamicModelMultipleChoiceField(
            queryset=Profile.objects.all(), required=False, label=_('Profile')
        ),
        'substruct_last_build': MultipleChoiceField(
            choices=BuildStateChoices, required=False, label=_('State of the last build')
        ),
    }


def register() -> None:
    """Make them known to NetBox; called once, when the plugin is loaded."""
    from dcim.filtersets import DeviceFilterSet
    from dcim.forms import DeviceFilterForm
    from dcim.tables import DeviceTable
    from virtualization.filtersets import VirtualMachineFilterSet
    from virtualization.forms import VirtualMachineFilterForm
    from virtualization.tables import VirtualMachineTable

    lists = (DeviceTable, VirtualMachineTable)
    register_table_column(StateColumn(verbose_name=_('Provisioning state')), 'substruct_state', *lists)
    register_table_column(ProfileColumn(verbose_name=_('Provisioning profile')), 'substruct_profile', *lists)
    register_table_column(LastBuildColumn(verbose_name=_('Last build')), 'substruct_last_build', *lists)
    for filterset in (DeviceFilterSet, VirtualMachineFilterSet):
        # That is all that declaring a filter in the class does.
        filterset.declared_filters.update(_filters())
        filterset.base_filters = filterset.get_filters()
    for form in (DeviceFilterForm, VirtualMachineFilterForm):
        form.base_fields.update(_form_fields())
        form.fieldsets = (
            *form.fieldsets,
            FieldSet('substruct_state', 'substruct_profile_id', 'substruct_last_build', name=_('Provisioning')),
        )
