"""The job that carries waves on every minute, beside the wake-ups that come when builds end."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from core.choices import JobIntervalChoices, JobStatusChoices
from core.models import Job
from netbox.jobs import JobRunner, system_job

from . import running

# Runs every minute leave a record each; those that found nothing are kept for so long.
KEPT = timedelta(hours=1)


@system_job(interval=JobIntervalChoices.INTERVAL_MINUTELY)
class CarryWavesOn(JobRunner):
    """Begins the builds of waves whose windows have opened, and whatever the wake-ups have missed."""

    class Meta:
        name = 'Substruct: carry waves on'

    def run(self, *args: Any, **kwargs: Any) -> None:
        for wave_id, error in running.advance_all().items():
            self.logger.error(f'Wave #{wave_id} cannot be carried on: {error}')
        # A queryset, because only single jobs are looked for in the queue when they are deleted; these have ended.
        Job.objects.filter(
            name=self.name,
            object_id__isnull=True,
            status=JobStatusChoices.STATUS_COMPLETED,
            completed__lt=timezone.now() - KEPT,
            log_entries=[],
        ).delete()
