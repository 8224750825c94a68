"""Tasks: work that a boot server is to do."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from netbox.models import NetBoxModel

from ..choices import TaskKindChoices, TaskStateChoices
from ..validators import validate_object

__all__ = ('Task',)


class Task(NetBoxModel):
    """One piece of work: claimed by one boot server, tried again when it fails, answered.

    `state` and what follows it are moved by `lifecycle` alone.
    """

    boot_server = models.ForeignKey(
        'BootServer', on_delete=models.CASCADE, related_name='tasks', verbose_name=_('boot server')
    )
    kind = models.CharField(_('kind'), max_length=50, choices=TaskKindChoices)
    machine = models.ForeignKey(
        'Machine', on_delete=models.CASCADE, related_name='tasks', null=True, blank=True, verbose_name=_('machine')
    )
    build = models.ForeignKey(
        'Build', on_delete=models.CASCADE, related_name='tasks', null=True, blank=True, verbose_name=_('build')
    )
    parameters = models.JSONField(
        _('parameters'),
        default=dict,
        blank=True,
        validators=[validate_object],
        help_text=_('What to do, for example {"action": "cycle"}'),
    )
    not_before = models.DateTimeField(_('not before'), null=True, blank=True)
    max_attempts = models.PositiveSmallIntegerField(_('attempts allowed'), default=3)
    state = models.CharField(
        _('state'), max_length=50, choices=TaskStateChoices, default=TaskStateChoices.STATE_PENDING, editable=False
    )
    attempts = models.PositiveSmallIntegerField(_('attempts'), default=0, editable=False)
    claimed = models.DateTimeField(_('claimed'), null=True, blank=True, editable=False)
    claimed_by = models.CharField(
        _('claimed by'),
        max_length=100,
        blank=True,
        editable=False,
        help_text=_('The sidecar that carries it out, or did last.'),
    )
    # Names the request in which it was claimed, so that one whose answer was lost can be made again.
    claim_key = models.CharField(max_length=64, blank=True, editable=False)
    lease_expires = models.DateTimeField(
        _('claim ends'),
        null=True,
        blank=True,
        editable=False,
        help_text=_('Unless it is renewed; then it is given to somebody else.'),
    )
    finished = models.DateTimeField(_('finished'), null=True, blank=True, editable=False)
    answer = models.JSONField(_('answer'), default=dict, blank=True, editable=False)
    error = models.TextField(_('error'), blank=True, editable=False)

    clone_fields = ('boot_server', 'kind', 'machine', 'parameters', 'max_attempts')
    prerequisite_models = ('netbox_substruct.BootServer',)

    class Meta:
        ordering = ('-pk',)
        verbose_name = _('task')
        verbose_name_plural = _('tasks')
        indexes = (
            models.Index(fields=('boot_server', 'state')),
            models.Index(fields=('claim_key',), condition=~models.Q(claim_key=''), name='substruct_task_claim_key'),
        )

    def __str__(self):
        return f'{self.get_kind_display()} #{self.pk}' if self.pk else self.get_kind_display()

    def get_kind_color(self):
        return TaskKindChoices.colors.get(self.kind)

    def get_state_color(self):
        return TaskStateChoices.colors.get(self.state)
