"""Builds: attempts to turn a machine into its profile, with what was served and what happened."""

import hashlib
import secrets

from django.core.validators import MaxValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from netbox.models import NetBoxModel
from utilities.exceptions import AbortRequest

from ..choices import ArtifactKindChoices, BuildEventKindChoices, BuildStateChoices
from ..lifecycle.states import BUILD_ACTIVE

__all__ = ('Build', 'BuildArtifact', 'BuildEvent', 'BuildToken')


class Build(NetBoxModel):
    """One attempt.  It is made and moved by `lifecycle` alone; what was asked is frozen in `request`."""

    machine = models.ForeignKey('Machine', on_delete=models.CASCADE, related_name='builds', verbose_name=_('machine'))
    profile = models.ForeignKey(
        'Profile',
        on_delete=models.SET_NULL,
        related_name='builds',
        null=True,
        blank=True,
        verbose_name=_('profile'),
    )
    state = models.CharField(
        _('state'),
        max_length=50,
        choices=BuildStateChoices,
        default=BuildStateChoices.STATE_PENDING,
        editable=False,
    )
    progress = models.PositiveSmallIntegerField(
        _('progress'), null=True, blank=True, editable=False, validators=[MaxValueValidator(100)]
    )
    requested_by = models.ForeignKey(
        'users.User',
        on_delete=models.SET_NULL,
        related_name='+',
        null=True,
        blank=True,
        editable=False,
        verbose_name=_('requested by'),
    )
    started = models.DateTimeField(_('started'), null=True, blank=True, editable=False)
    finished = models.DateTimeField(_('finished'), null=True, blank=True, editable=False)
    error = models.TextField(_('error'), blank=True, editable=False)
    request = models.JSONField(
        _('request'),
        default=dict,
        editable=False,
        help_text=_('What was asked, frozen: the context that the artifacts were rendered from.'),
    )
    description = models.CharField(_('description'), max_length=200, blank=True)
    comments = models.TextField(_('comments'), blank=True)

    prerequisite_models = ('netbox_substruct.Machine',)

    class Meta:
        ordering = ('-pk',)
        verbose_name = _('build')
        verbose_name_plural = _('builds')
        constraints = (
            # The last word on "exactly one build", whatever came before it.
            models.UniqueConstraint(
                fields=('machine',),
                condition=models.Q(state__in=sorted(BUILD_ACTIVE)),
                name='%(app_label)s_%(class)s_one_active',
                violation_error_message=_('The machine has a build pending or under way already.'),
            ),
        )
        indexes = (models.Index(fields=('state',)),)
        permissions = [('cancel', 'Cancel a build')]

    def __str__(self):
        return f'{self.machine} #{self.pk}' if self.pk else str(self.machine)

    def delete(self, *args, **kwargs):
        if self.is_active:
            # NetBox shows this to whoever asked, as a page or as an answer of the API.
            raise AbortRequest(
                _('Build #{build} is pending or under way; cancel it before you delete it.').format(build=self.pk)
            )
        return super().delete(*args, **kwargs)

    def serialize_object(self, exclude=None):
        # The frozen request holds the whole context; it never changes, and the changelog is read by more people.
        return super().serialize_object(exclude=[*(exclude or []), 'request'])

    def get_state_color(self):
        return BuildStateChoices.colors.get(self.state)

    @property
    def is_active(self):
        return self.state in BUILD_ACTIVE

    @property
    def duration(self):
        """From the first sign of the machine to the end, or until now while it runs; None before it started."""
        if self.started is None:
            return None
        return (self.finished or timezone.now()) - self.started


class BuildToken(models.Model):
    """The secret that a machine under installation shows.  Private to the feed: no page, API, changelog or search.

    A model of its own, and no relation that Django knows of: whoever may write an export template or a filter could
    follow one.  The foreign key stands in the database (migration 0003), and takes the token away with its build.
    """

    _netbox_private = True

    build_id = models.BigIntegerField(primary_key=True)
    token = models.CharField(max_length=64, unique=True, default=secrets.token_urlsafe)

    class Meta:
        default_permissions = ()
        verbose_name = _('build token')

    def __str__(self):
        return f'token of build {self.build_id}'


class BuildArtifact(NetBoxModel):
    """One rendered file of a build, byte for byte as served (but for the markers of `bundles.markers`)."""

    build = models.ForeignKey('Build', on_delete=models.CASCADE, related_name='artifacts', verbose_name=_('build'))
    kind = models.CharField(_('kind'), max_length=50, choices=ArtifactKindChoices)
    name = models.CharField(_('file name'), max_length=100)
    content = models.TextField(_('content'), blank=True)
    sha256 = models.CharField(_('SHA-256'), max_length=64, editable=False)
    template_name = models.CharField(_('template'), max_length=200, blank=True, editable=False)

    class Meta:
        ordering = ('build', 'kind')
        verbose_name = _('build artifact')
        verbose_name_plural = _('build artifacts')
        constraints = (
            models.UniqueConstraint(fields=('build', 'kind'), name='%(app_label)s_%(class)s_unique_build_kind'),
        )

    def __str__(self):
        return self.name

    def save(self, *args, **kwargs):
        self.sha256 = hashlib.sha256(self.content.encode()).hexdigest()
        super().save(*args, **kwargs)

    def serialize_object(self, exclude=None):
        # The digest says in the changelog what was made; the content may be read by those who may see artifacts only.
        return super().serialize_object(exclude=[*(exclude or []), 'content'])

    def get_kind_color(self):
        return ArtifactKindChoices.colors.get(self.kind)

    @property
    def size(self):
        """Length of the content in bytes."""
        return len(self.content.encode())


class BuildEvent(NetBoxModel):
    """A step of a build with its time.  Written once, never changed."""

    build = models.ForeignKey('Build', on_delete=models.CASCADE, related_name='events', verbose_name=_('build'))
    time = models.DateTimeField(_('time'), default=timezone.now, help_text=_('When it happened on the machine.'))
    kind = models.CharField(_('kind'), max_length=50, choices=BuildEventKindChoices)
    message = models.CharField(_('message'), max_length=500, blank=True)
    progress = models.PositiveSmallIntegerField(
        _('progress'), null=True, blank=True, validators=[MaxValueValidator(100)], help_text=_('Per cent')
    )
    log = models.TextField(_('log'), blank=True)
    key = models.CharField(
        _('key'),
        max_length=64,
        null=True,
        blank=True,
        unique=True,
        help_text=_('Idempotency key: an event that is sent again with the same key is the same event.'),
    )

    prerequisite_models = ('netbox_substruct.Build',)

    class Meta:
        ordering = ('build', 'time', 'pk')
        verbose_name = _('build event')
        verbose_name_plural = _('build events')

    def __str__(self):
        return self.message or self.get_kind_display()

    def serialize_object(self, exclude=None):
        return super().serialize_object(exclude=[*(exclude or []), 'log'])

    def get_kind_color(self):
        return BuildEventKindChoices.colors.get(self.kind)
