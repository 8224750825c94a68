"""NetBox → state: reads the feed and takes it, whole or not at all.

The answer is first written to a file, so that a slow NetBox holds no lock here; then it is taken in one transaction.
An answer that would take away too large a share of what is known is not taken: everything goes on as it was, and a
person is told.
"""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import structlog

from . import desired
from .files import write_atomically
from .netbox import Incompatible, NetBox, NetBoxError, TooOld, Trouble
from .plan import Limits, Problem, Unsafe
from .state import HalfAnswer, State
from .status import Board

log: Any = structlog.get_logger('feed')

# The answer that was refused, as people read it; in the state's folder.
REFUSED = 'refused-state.txt'


class Feeder:
    def __init__(
        self,
        folder: Path,
        state: Callable[[], State],
        board: Board,
        limits: Limits,
        prepare: Callable[[NetBox, State], list[Problem]] | None,
        changed: Callable[[], None],
    ) -> None:
        self._folder = folder
        self._state = state
        self._board = board
        self._limits = limits
        self._prepare = prepare
        self._changed = changed
        self._failing_since: float | None = None
        self._answers = self._snapshots = self._failures = 0

    def pull(self, netbox: NetBox) -> None:
        """Bring the state up to date.  Raises NetBoxError, already reported."""
        began = time.monotonic()
        try:
            with closing(self._state()) as state:
                changes, mode = self._take(netbox, state)
        except Unsafe as refused:
            self._keep_refused(refused)
            self._report(str(refused))
            raise NetBoxError(str(refused)) from refused
        except HalfAnswer as error:
            self._report(str(error))
            raise Trouble(str(error)) from error
        except NetBoxError as error:
            self._report(str(error))
            raise
        except (OSError, sqlite3.Error) as error:
            # A full disk, for example.
            self._report(f'The feed cannot be kept: {error}')
            raise NetBoxError(str(error)) from error
        (self._folder / REFUSED).unlink(missing_ok=True)
        self._answers += 1
        self._snapshots += mode == 'snapshot'
        if self._failing_since is not None:
            log.info('netbox is back', away=round(time.time() - self._failing_since, 1))
        self._failing_since = None
        self._board.netbox(
            state='ok', message='', failing_since=None, taken=time.time(), answers=self._answers,
            snapshots=self._snapshots, last_delta_objects=changes, last_seconds=round(time.monotonic() - began, 4),
        )  # fmt: skip
        self._board.problems('feed', [])
        if changes:
            log.info('state taken', mode=mode, changes=changes, seconds=round(time.monotonic() - began, 3))
            self._changed()
        self._prepared(netbox)

    def _prepared(self, netbox: NetBox) -> None:
        """What was taken stands, and the services have heard of it, whatever comes of this: it is done each time."""
        if self._prepare is None:
            return
        try:
            with closing(self._state()) as state:
                problems = self._prepare(netbox, state)
        except (OSError, sqlite3.Error) as error:
            log.error('artifacts cannot be kept', reason=str(error))
            problems = [Problem('artifacts', 'service', 0, 'artifacts', f'Artifacts cannot be kept: {error}')]
        self._board.problems('prepare', problems)

    def _take(self, netbox: NetBox, state: State) -> tuple[int, str]:
        about = state.about()
        server = netbox.boot_server()
        spool = self._folder / 'feed.ndjson'
        after = about.cursor if about is not None and about.boot_server_id == server.id else None
        try:
            try:
                feed = netbox.feed(spool, after)
            except TooOld as error:
                log.info('a snapshot is taken', reason=str(error))
                feed = netbox.feed(spool)
            if after is None and feed.header.mode != 'snapshot':
                raise Incompatible('NetBox gave changes where everything was asked for.')
            # Another boot server's machines are other machines: their removal is meant.  One that was removed and made
            # anew is the same one, and may lack its prefixes.
            same = about is None or about.boot_server_id == server.id or about.boot_server == server.name
            limits = self._limits if same else None
            with state.intake(feed.header, time.time(), limits=limits) as intake:
                for line, raw in feed.lines():
                    if isinstance(line, desired.End):
                        intake.end(line)
                    elif isinstance(line, desired.Gone):
                        intake.gone(line)
                    elif isinstance(line, desired.Header):
                        raise Trouble('The feed has a second header.')
                    else:
                        intake.line(line, raw)
            return intake.changes, feed.header.mode
        finally:
            spool.unlink(missing_ok=True)

    def _keep_refused(self, refused: Unsafe) -> None:
        """For `substruct-sidecar plan state`."""
        text = '\n'.join([*refused.plan.diff(), f'  {refused}', ''])
        try:
            write_atomically(self._folder / REFUSED, text, 0o640)
        except OSError as error:
            log.error('the refused plan cannot be kept for looking at', reason=str(error))

    def _report(self, message: str) -> None:
        self._failures += 1
        if self._failing_since is None:
            self._failing_since = time.time()
        log.warning('state not taken; everything goes on with the last one', reason=message)
        self._board.netbox(state='failing', message=message, failing_since=self._failing_since, failures=self._failures)
        self._board.problems('feed', [Problem('feed', 'service', 0, 'NetBox', message)])
