"""Waves: builds of many machines, some at a time, and the machines of each."""

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from timezone_field import TimeZoneField

from netbox.context import current_request
from netbox.models import NetBoxModel, PrimaryModel
from utilities.exceptions import AbortRequest

from ..choices import WaveMemberStateChoices, WaveStateChoices, WeekdayChoices

__all__ = ('Wave', 'WaveMember')


class Moved:
    """For models some of whose fields (`MOVED`) are moved by workers while people edit the others.

    Whoever changes an object has read it a while ago; what was moved since then must stay.
    """

    MOVED = ()

    def save(self, *args, **kwargs):
        if not self._state.adding and kwargs.get('update_fields') is None and not kwargs.get('force_insert'):
            kwargs['update_fields'] = [
                field.name
                for field in self._meta.concrete_fields
                if not field.primary_key and field.name not in self.MOVED
            ]
        super().save(*args, **kwargs)

    def save_moved(self):
        """Write what was moved, and nothing else.  The row is locked, and was read since."""
        self.save(update_fields=[*self.MOVED, 'last_updated'])

    save_moved.alters_data = True


class Wave(Moved, PrimaryModel):
    """Many machines to be built, a few at a time, canaries first.

    `state` and what follows it are moved by `waves` alone.
    """

    name = models.CharField(_('name'), max_length=100, unique=True)
    profile = models.ForeignKey(
        'Profile',
        # Not forgotten: its machines would become something that nobody asked for.
        on_delete=models.PROTECT,
        related_name='waves',
        null=True,
        blank=True,
        verbose_name=_('profile'),
        help_text=_('What all its machines become. If empty: each becomes what its own profile says.'),
    )
    at_once = models.PositiveSmallIntegerField(
        _('at once'),
        default=5,
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
        help_text=_('So many machines are built at the same time, at most.'),
    )
    canaries = models.PositiveSmallIntegerField(
        _('canaries'),
        default=1,
        validators=[MaxValueValidator(1000)],
        help_text=_('So many machines are built first; the others wait until these are complete. 0: none.'),
    )
    max_failures = models.PositiveSmallIntegerField(
        _('failures allowed'),
        default=0,
        validators=[MaxValueValidator(10000)],
        help_text=_('When more machines than this have failed, the wave stops. A canary that fails stops it at once.'),
    )
    not_before = models.DateTimeField(
        _('not before'), null=True, blank=True, help_text=_('No build is begun before this moment.')
    )
    not_after = models.DateTimeField(
        _('not after'),
        null=True,
        blank=True,
        help_text=_('No build is begun after this moment: the wave stops then, with what has not been built.'),
    )
    daily_from = models.TimeField(
        _('daily from'),
        null=True,
        blank=True,
        help_text=_('Builds are begun only from this time of day on, for example 22:00.'),
    )
    daily_until = models.TimeField(
        _('daily until'),
        null=True,
        blank=True,
        help_text=_('… until this time of day, that of the next day if it is the earlier one, for example 05:00.'),
    )
    days = ArrayField(
        models.CharField(max_length=3, choices=WeekdayChoices),
        verbose_name=_('days'),
        default=list,
        blank=True,
        help_text=_('The days on which the window opens. If empty: every day.'),
    )
    time_zone = TimeZoneField(
        _('time zone'),
        null=True,
        blank=True,
        help_text=_('That of the times of day. If empty: NetBox’s own.'),
    )
    reserve = models.PositiveSmallIntegerField(
        _('time needed (minutes)'),
        default=30,
        validators=[MaxValueValidator(1440)],
        help_text=_('How long a build takes: none is begun when less than this is left of the window.'),
    )
    state = models.CharField(
        _('state'), max_length=50, choices=WaveStateChoices, default=WaveStateChoices.STATE_PLANNED, editable=False
    )
    reason = models.TextField(_('reason'), blank=True, editable=False, help_text=_('Why it was paused, or has ended.'))
    requested_by = models.ForeignKey(
        'users.User',
        on_delete=models.SET_NULL,
        related_name='+',
        null=True,
        blank=True,
        editable=False,
        verbose_name=_('requested by'),
        help_text=_('Who started it: its machines are built by this user’s permission.'),
    )
    started = models.DateTimeField(_('started'), null=True, blank=True, editable=False)
    finished = models.DateTimeField(_('finished'), null=True, blank=True, editable=False)

    MOVED = ('state', 'reason', 'requested_by', 'started', 'finished')

    clone_fields = (
        'profile', 'at_once', 'canaries', 'max_failures', 'not_before', 'not_after', 'daily_from', 'daily_until',
        'days', 'time_zone', 'reserve',
    )  # fmt: skip

    class Meta:
        ordering = ('-pk',)
        verbose_name = _('wave')
        verbose_name_plural = _('waves')
        indexes = (models.Index(fields=('state',)),)

    def __str__(self):
        return self.name

    def get_state_color(self):
        return WaveStateChoices.colors.get(self.state)

    @property
    def window(self):
        """When builds may be begun, as `waves.window` reckons with it."""
        from ..waves.window import Window

        return Window.of(self)

    def clean(self):
        super().clean()
        if (why := self.window.wrong()) is not None:
            raise ValidationError({why.field: why.message})
        if self.pk and self.state in (WaveStateChoices.STATE_RUNNING, WaveStateChoices.STATE_PAUSED):
            was = Wave.objects.filter(pk=self.pk).values_list('profile_id', flat=True).first()
            if was != self.profile_id:
                raise ValidationError(
                    {'profile': _('The wave is under way; stop it before you choose another profile.')}
                )

    def delete(self, *args, **kwargs):
        if self.state == WaveStateChoices.STATE_RUNNING:
            # NetBox shows this to whoever asked, as a page or as an answer of the API.
            raise AbortRequest(_('Wave {wave} is running; stop it before you delete it.').format(wave=self))
        request = current_request.get()
        if request is not None:
            seen = WaveMember.objects.restrict(request.user, 'view').filter(wave=self).values('pk')
            if self.members.exclude(pk__in=seen).exists():
                raise AbortRequest(
                    _('Wave {wave} has machines that you may not view; it is deleted by who may view them all.').format(
                        wave=self
                    )
                )
        return super().delete(*args, **kwargs)


class WaveMember(Moved, NetBoxModel):
    """One machine of a wave.  What becomes of it is written by `waves` alone."""

    wave = models.ForeignKey('Wave', on_delete=models.CASCADE, related_name='members', verbose_name=_('wave'))
    machine = models.ForeignKey(
        'Machine', on_delete=models.CASCADE, related_name='wave_members', verbose_name=_('machine')
    )
    order = models.PositiveIntegerField(
        _('order'), default=100, help_text=_('Machines with lower numbers are built first; the first are the canaries.')
    )
    override = models.CharField(
        _('override'),
        max_length=100,
        blank=True,
        help_text=_('The exact name of the machine, if it is active or protected: a build erases its disks.'),
    )
    state = models.CharField(
        _('state'),
        max_length=50,
        choices=WaveMemberStateChoices,
        default=WaveMemberStateChoices.STATE_WAITING,
        editable=False,
    )
    reason = models.TextField(
        _('reason'), blank=True, editable=False, help_text=_('Why it has failed or is left out, or waits.')
    )
    build = models.ForeignKey(
        'Build',
        on_delete=models.SET_NULL,
        related_name='wave_members',
        null=True,
        blank=True,
        editable=False,
        verbose_name=_('build'),
    )
    attempts = models.PositiveSmallIntegerField(
        _('attempts'), default=0, editable=False, help_text=_('How many builds the wave has requested for it.')
    )
    excused = models.BooleanField(
        _('excused'),
        default=False,
        editable=False,
        help_text=_('It had failed when somebody let the wave go on, and is not counted any more.'),
    )

    MOVED = ('state', 'reason', 'build', 'attempts', 'excused')

    prerequisite_models = ('netbox_substruct.Wave', 'netbox_substruct.Machine')

    class Meta:
        ordering = ('wave', 'order', 'pk')
        verbose_name = _('wave member')
        verbose_name_plural = _('wave members')
        constraints = (
            models.UniqueConstraint(
                fields=('wave', 'machine'),
                name='%(app_label)s_%(class)s_unique_machine',
                violation_error_message=_('The machine is in this wave already.'),
            ),
        )
        indexes = (models.Index(fields=('wave', 'state')),)

    def __str__(self):
        return str(self.machine)

    def get_state_color(self):
        return WaveMemberStateChoices.colors.get(self.state)

    def clean(self):
        super().clean()
        names = ('wave_id', 'machine_id', 'override')
        was = WaveMember.objects.filter(pk=self.pk).values('state', 'attempts', *names).first()
        if was is not None and all(was[name] == getattr(self, name) for name in names):
            return
        # What is built was seen by whoever started it; it is started anew, and seen, when it has changed.
        if self.wave_id is not None and self.wave.state == WaveStateChoices.STATE_RUNNING:
            raise ValidationError(
                _('Wave {wave} is running; pause it before you change its machines.').format(wave=self.wave)
            )
        if (
            was is not None
            and was['attempts']
            and (was['wave_id'], was['machine_id']) != (self.wave_id, self.machine_id)
        ):
            raise ValidationError(_('It was built already: add the other machine instead.'))

    @property
    def duration(self):
        """That of its build; None while there is none."""
        return self.build.duration if self.build is not None else None

    def delete(self, *args, **kwargs):
        if self.state == WaveMemberStateChoices.STATE_BUILDING:
            raise AbortRequest(
                _('{machine} is being built by this wave; cancel its build before you take it out.').format(
                    machine=self.machine
                )
            )
        return super().delete(*args, **kwargs)
