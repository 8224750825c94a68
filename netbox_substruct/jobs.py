"""What NetBox's workers do for Substruct by themselves."""

from datetime import timedelta

from django.utils import timezone

from core.choices import JobIntervalChoices, JobStatusChoices
from core.models import Job
from netbox.jobs import JobRunner, system_job

from .lifecycle import builds

__all__ = ('NoticeStalledBuilds',)

# Runs every minute leave a record each; those that found nothing are kept for so long.
KEPT = timedelta(hours=1)


@system_job(interval=JobIntervalChoices.INTERVAL_MINUTELY)
class NoticeStalledBuilds(JobRunner):
    """Gives up builds of which nothing was heard for as long as their profiles allow."""

    class Meta:
        name = 'Substruct: notice stalled builds'

    def run(self, *args, **kwargs):
        for build in builds.notice_stalled():
            self.logger.warning(f'{build}: {build.error}')
        # A queryset, because only single jobs are looked for in the queue when they are deleted; these have ended.
        Job.objects.filter(
            name=self.name,
            object_id__isnull=True,
            status=JobStatusChoices.STATUS_COMPLETED,
            completed__lt=timezone.now() - KEPT,
            log_entries=[],
        ).delete()
