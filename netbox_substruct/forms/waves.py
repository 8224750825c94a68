"""Forms of waves and their members, and of what is done with them.  States are moved by `waves` alone."""

from django import forms
from django.utils.translation import gettext_lazy as _
from timezone_field import TimeZoneFormField

from dcim.models import Rack, Site
from netbox.forms import (
    NetBoxModelBulkEditForm,
    NetBoxModelFilterSetForm,
    NetBoxModelForm,
    NetBoxModelImportForm,
    PrimaryModelBulkEditForm,
    PrimaryModelFilterSetForm,
    PrimaryModelForm,
    PrimaryModelImportForm,
)
from users.models import User
from utilities.forms import ConfirmationForm, add_blank_choice
from utilities.forms.fields import (
    CSVModelChoiceField,
    DynamicModelChoiceField,
    DynamicModelMultipleChoiceField,
    TagFilterField,
)
from utilities.forms.rendering import FieldSet
from utilities.forms.widgets import DateTimePicker

from ..choices import WaveMemberStateChoices, WaveStateChoices, WeekdayChoices
from ..models import Machine, Profile, Wave, WaveMember
from .fields import CSVDefaultsMixin
from .machines import CSVMachineField

__all__ = (
    'ChooseWaveForm',
    'StartWaveForm',
    'StopWaveForm',
    'WaveBulkEditForm',
    'WaveFilterForm',
    'WaveForm',
    'WaveImportForm',
    'WaveMemberBulkEditForm',
    'WaveMemberFilterForm',
    'WaveMemberForm',
    'WaveMemberImportForm',
)

WINDOW = ('not_before', 'not_after', 'days', 'daily_from', 'daily_until', 'time_zone', 'reserve')


def help_of(name):
    return Wave._meta.get_field(name).help_text


class TimePicker(forms.TimeInput):
    """The time of day as the browser lets one choose it, on 24 hours."""

    input_type = 'time'

    def __init__(self, attrs=None):
        super().__init__(attrs={'class': 'form-control', **(attrs or {})}, format='%H:%M')


class WaveFields(forms.Form):
    """The fields that need more than their model's: of the form of a wave, and of the one that makes it from a list."""

    profile = DynamicModelChoiceField(
        label=_('Profile'), queryset=Profile.objects.all(), required=False, help_text=help_of('profile')
    )
    not_before = forms.DateTimeField(
        label=_('Not before'), required=False, widget=DateTimePicker(), help_text=help_of('not_before')
    )
    not_after = forms.DateTimeField(
        label=_('Not after'), required=False, widget=DateTimePicker(), help_text=help_of('not_after')
    )
    days = forms.MultipleChoiceField(label=_('Days'), choices=WeekdayChoices, required=False, help_text=help_of('days'))
    daily_from = forms.TimeField(
        label=_('Daily from'), required=False, widget=TimePicker(), help_text=help_of('daily_from')
    )
    daily_until = forms.TimeField(
        label=_('Daily until'), required=False, widget=TimePicker(), help_text=help_of('daily_until')
    )
    time_zone = TimeZoneFormField(
        label=_('Time zone'),
        choices=add_blank_choice(TimeZoneFormField().choices),
        required=False,
        help_text=help_of('time_zone'),
    )


class WaveForm(WaveFields, PrimaryModelForm):
    fieldsets = (
        FieldSet('name', 'profile', 'description', 'tags', name=_('Wave')),
        FieldSet('at_once', 'canaries', 'max_failures', name=_('How It Goes')),
        FieldSet(*WINDOW, name=_('Maintenance Window')),
    )

    class Meta:
        model = Wave
        fields = (
            'name', 'profile', 'description', 'at_once', 'canaries', 'max_failures', *WINDOW, 'owner', 'comments',
            'tags',
        )  # fmt: skip


class WaveBulkEditForm(PrimaryModelBulkEditForm):
    profile = DynamicModelChoiceField(label=_('Profile'), queryset=Profile.objects.all(), required=False)
    at_once = forms.IntegerField(
        label=_('At once'), min_value=1, max_value=1000, required=False, help_text=help_of('at_once')
    )
    canaries = forms.IntegerField(
        label=_('Canaries'), min_value=0, max_value=1000, required=False, help_text=help_of('canaries')
    )
    max_failures = forms.IntegerField(
        label=_('Failures allowed'), min_value=0, max_value=10000, required=False, help_text=help_of('max_failures')
    )
    not_before = forms.DateTimeField(label=_('Not before'), required=False, widget=DateTimePicker())
    not_after = forms.DateTimeField(label=_('Not after'), required=False, widget=DateTimePicker())
    reserve = forms.IntegerField(
        label=_('Time needed (minutes)'), min_value=0, max_value=1440, required=False, help_text=help_of('reserve')
    )

    model = Wave
    fieldsets = (
        FieldSet('profile', 'at_once', 'canaries', 'max_failures', 'description', name=_('Wave')),
        FieldSet('not_before', 'not_after', 'reserve', name=_('Maintenance Window')),
    )
    nullable_fields = ('profile', 'not_before', 'not_after', 'description', 'comments')


class CSVDaysField(forms.CharField):
    """Days in an import, separated by commas: mon,tue."""

    def to_python(self, value):
        found = [day.strip().lower()[:3] for day in (super().to_python(value) or '').split(',') if day.strip()]
        for day in found:
            if day not in WeekdayChoices.values():
                raise forms.ValidationError(_('"%(day)s" is no day of the week.'), params={'day': day})
        return found


class WaveImportForm(CSVDefaultsMixin, PrimaryModelImportForm):
    profile = CSVModelChoiceField(
        label=_('Profile'),
        queryset=Profile.objects.all(),
        required=False,
        to_field_name='slug',
        help_text=_('Slug of the profile; if empty, each machine’s own'),
    )
    days = CSVDaysField(label=_('Days'), required=False, help_text=_('Days separated by commas, for example "sat,sun"'))

    defaulted = ('at_once', 'canaries', 'max_failures', 'reserve')

    class Meta:
        model = Wave
        fields = (
            'name', 'profile', 'at_once', 'canaries', 'max_failures', *WINDOW, 'description', 'owner', 'comments',
            'tags',
        )  # fmt: skip


class WaveFilterForm(PrimaryModelFilterSetForm):
    model = Wave
    fieldsets = (
        FieldSet('q', 'filter_id', 'tag'),
        FieldSet('state', 'profile_id', 'machine_id', 'requested_by_id', name=_('Wave')),
        FieldSet('owner_group_id', 'owner_id', name=_('Ownership')),
    )

    state = forms.MultipleChoiceField(label=_('State'), choices=WaveStateChoices, required=False)
    profile_id = DynamicModelMultipleChoiceField(
        label=_('Profile'), queryset=Profile.objects.all(), required=False, null_option='None'
    )
    machine_id = DynamicModelMultipleChoiceField(label=_('Machine'), queryset=Machine.objects.all(), required=False)
    requested_by_id = DynamicModelMultipleChoiceField(
        label=_('Requested by'), queryset=User.objects.all(), required=False
    )
    tag = TagFilterField(model)


#
# Members
#


class WaveMemberForm(NetBoxModelForm):
    wave = DynamicModelChoiceField(label=_('Wave'), queryset=Wave.objects.all())
    machine = DynamicModelChoiceField(label=_('Machine'), queryset=Machine.objects.all(), selector=True)

    fieldsets = (FieldSet('wave', 'machine', 'order', 'override', 'tags', name=_('Wave Member')),)

    class Meta:
        model = WaveMember
        fields = ('wave', 'machine', 'order', 'override', 'tags')


class WaveMemberBulkEditForm(NetBoxModelBulkEditForm):
    order = forms.IntegerField(
        label=_('Order'), min_value=0, required=False, help_text=WaveMember._meta.get_field('order').help_text
    )

    model = WaveMember
    fieldsets = (FieldSet('order'),)
    nullable_fields = ()


class WaveMemberImportForm(CSVDefaultsMixin, NetBoxModelImportForm):
    wave = CSVModelChoiceField(
        label=_('Wave'), queryset=Wave.objects.all(), to_field_name='name', help_text=_('Name of the wave')
    )
    machine = CSVMachineField()

    defaulted = ('order',)

    class Meta:
        model = WaveMember
        fields = ('wave', 'machine', 'order', 'override', 'tags')


class WaveMemberFilterForm(NetBoxModelFilterSetForm):
    model = WaveMember
    fieldsets = (
        FieldSet('q', 'filter_id', 'tag'),
        FieldSet('wave_id', 'state', 'machine_id', name=_('Wave Member')),
        FieldSet('site_id', 'rack_id', name=_('Place')),
    )

    wave_id = DynamicModelMultipleChoiceField(label=_('Wave'), queryset=Wave.objects.all(), required=False)
    state = forms.MultipleChoiceField(label=_('State'), choices=WaveMemberStateChoices, required=False)
    machine_id = DynamicModelMultipleChoiceField(label=_('Machine'), queryset=Machine.objects.all(), required=False)
    site_id = DynamicModelMultipleChoiceField(label=_('Site'), queryset=Site.objects.all(), required=False)
    rack_id = DynamicModelMultipleChoiceField(
        label=_('Rack'), queryset=Rack.objects.all(), required=False, query_params={'site_id': '$site_id'}
    )
    tag = TagFilterField(model)


#
# Actions
#


class StartWaveForm(ConfirmationForm):
    """Starting erases disks: the name of the wave is asked for."""

    name = forms.CharField(label=_('Name of the wave'))

    def __init__(self, *args, wave, **kwargs):
        super().__init__(*args, **kwargs)
        self.wave = wave
        self.fields['name'].help_text = _('Type {name} to start it.').format(name=wave.name)

    def clean_name(self):
        name = self.cleaned_data['name'].strip()
        if name != self.wave.name:
            raise forms.ValidationError(_('That is not the name of the wave.'))
        return name


class StopWaveForm(ConfirmationForm):
    cancel_builds = forms.BooleanField(
        label=_('Cancel the builds under way'),
        required=False,
        help_text=_(
            'A machine that has begun counts as failed then: its disks may be half written. If not, these builds go on '
            'to their end.'
        ),
    )


class ChooseWaveForm(WaveFields):
    """A wave made of machines that were chosen in a list, or on the page of a rack or a site."""

    name = forms.CharField(
        label=_('Name'), max_length=100, help_text=_('What the wave is called, for example the rack and the date.')
    )
    at_once = forms.IntegerField(
        label=_('At once'), min_value=1, max_value=1000, initial=5, help_text=help_of('at_once')
    )
    canaries = forms.IntegerField(
        label=_('Canaries'), min_value=0, max_value=1000, initial=1, help_text=help_of('canaries')
    )
    max_failures = forms.IntegerField(
        label=_('Failures allowed'), min_value=0, max_value=10000, initial=0, help_text=help_of('max_failures')
    )
    reserve = forms.IntegerField(
        label=_('Time needed (minutes)'), min_value=0, max_value=1440, initial=30, help_text=help_of('reserve')
    )
    description = forms.CharField(label=_('Description'), max_length=200, required=False)
    start = forms.BooleanField(
        label=_('Start at once'),
        required=False,
        help_text=_('If not, it is planned only, and you start it on its page.'),
    )
    repeat_name = forms.CharField(
        label=_('Name once more'),
        required=False,
        help_text=_('To start at once, type the name of the wave again: the disks of its machines are erased.'),
    )

    main = ('name', 'profile', 'at_once', 'canaries', 'max_failures', 'description')
    window = WINDOW
    starting = ('start', 'repeat_name')

    def __init__(self, *args, may_start=True, **kwargs):
        super().__init__(*args, **kwargs)
        if not may_start:
            for name in self.starting:
                del self.fields[name]

    def clean(self):
        data = super().clean()
        if data.get('start') and data.get('repeat_name', '').strip() != data.get('name'):
            self.add_error('repeat_name', _('That is not the name of the wave.'))
        wave = self.wave()
        try:
            wave.full_clean(exclude=set(self.errors))
        except forms.ValidationError as error:
            for field, errors in error.message_dict.items():
                self.add_error(field if field in self.fields else None, errors)
        return data

    def wave(self):
        """The wave that is to be, not saved."""
        return Wave(
            **{name: self.cleaned_data[name] for name in (*self.main, *self.window) if name in self.cleaned_data}
        )

    def rows_of(self, names):
        return [self[name] for name in names if name in self.fields]

    @property
    def main_fields(self):
        return self.rows_of(self.main)

    @property
    def window_fields(self):
        return self.rows_of(self.window)

    @property
    def start_fields(self):
        return self.rows_of(self.starting)

    @property
    def window_open(self):
        """Whether the fields of the window are to be seen: something stands in them, or is wrong with them."""
        return any(self[name].value() for name in self.window if name != 'reserve') or any(
            name in self.errors for name in self.window
        )
