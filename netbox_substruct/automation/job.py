"""The job that starts a build for an event rule: rendering is nothing that a web page should wait for."""

from typing import Any

from netbox.jobs import JobRunner

from . import starting

__all__ = ('StartBuild',)


class StartBuild(JobRunner):
    """Starts the build that an event rule asks for, or says in the journal why not."""

    class Meta:
        name = 'Substruct: start a build'

    def run(self, trigger: dict[str, Any], **kwargs: Any) -> None:
        build = starting.start(starting.Trigger(**trigger))
        if build is None:
            self.logger.warning('No build was started; the journal of the object says why.')
        else:
            self.logger.info(f'Build #{build.pk} of {build.machine} was requested.')
