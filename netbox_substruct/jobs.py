"""What NetBox's workers do for Substruct by themselves."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from core.choices import JobIntervalChoices, JobStatusChoices
from core.models import Job
from netbox.jobs import JobRunner, system_job

from .lifecycle import builds
from .reports import health

__all__ = ('NoticeStalledBuilds', 'WatchBootServers')

# Runs every minute leave a record each; those that found nothing are kept for so long.
KEPT = timedelta(hours=1)


@system_job(interval=JobIntervalChoices.INTERVAL_MINUTELY)
class NoticeStalledBuilds(JobRunner):
    """Gives up builds of which nothing was heard for as long as their profiles allow."""

    class Meta:
        name = 'Substruct: notice stalled builds'

    def run(self, *args: Any, **kwargs: Any) -> None:
        for build in builds.notice_stalled():
            self.logger.warning(f'{build}: {build.error}')
        forget_uneventful(self.name)


@system_job(interval=JobIntervalChoices.INTERVAL_MINUTELY)
class WatchBootServers(JobRunner):
    """Tells of boot servers that are not heard of any more."""

    class Meta:
        name = 'Substruct: watch boot servers'

    def run(self, *args: Any, **kwargs: Any) -> None:
        last = (
            Job.objects.filter(name=self.name, object_id__isnull=True, completed__isnull=False)
            .order_by('-completed')
            .values_list('completed', flat=True)
            .first()
        )
        told = health.watch(
            last=last, failed=lambda boot_server: self.logger.exception(f'{boot_server} cannot be looked at')
        )
        for boot_server, event_type in told:
            self.logger.warning(f'{boot_server}: {event_type}')
        forget_uneventful(self.name)


def forget_uneventful(name: str) -> None:
    """Delete what is left of a job's runs that found nothing, but for the last hour's."""
    # A queryset, because only single jobs are looked for in the queue when they are deleted; these have ended.
    Job.objects.filter(
        name=name,
        object_id__isnull=True,
        status=JobStatusChoices.STATUS_COMPLETED,
        completed__lt=timezone.now() - KEPT,
        log_entries=[],
    ).delete()
