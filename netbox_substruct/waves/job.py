"""The job that carries waves on every minute, beside the wake-ups that come when builds end."""

from typing import Any

from core.choices import JobIntervalChoices
from netbox.jobs import JobRunner, system_job

from ..jobs import forget_uneventful
from . import running


@system_job(interval=JobIntervalChoices.INTERVAL_MINUTELY)
class CarryWavesOn(JobRunner):
    """Begins the builds of waves whose windows have opened, and whatever the wake-ups have missed."""

    class Meta:
        name = 'Substruct: carry waves on'

    def run(self, *args: Any, **kwargs: Any) -> None:
        for wave_id, error in running.advance_all().items():
            self.logger.error(f'Wave #{wave_id} cannot be carried on: {error}')
        forget_uneventful(self.name)
