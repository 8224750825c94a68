"""Keeps one service as the desired state says: plan, guard, apply, verify, again and again.

One `Runner` for each service, in a thread of its own, so that a DNS server that hangs holds up nobody's DHCP.  What was
applied up to which revision is in the ledger; a plan looks only at what has changed since, and at everything after a
start, a failure or drift.  A plan that is refused stays refused, and everything after it waits, until a person has
looked at it.
"""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import structlog

from .ledger import Ledger
from .plan import Limits, Plan, Problem, Unsafe, guard
from .service import ApplyError, Patient, Service
from .state import Changed, State, View
from .status import Board, Planned, difference, planned

log: Any = structlog.get_logger('reconcile')

# Seconds before a failed service is tried again: after the first failure, the second, …; the last one from then on.
BACK_OFF = (1.0, 5.0, 15.0, 30.0, 60.0)
VERIFY_INTERVAL = 60.0
# Every so often everything is looked at, whatever seems to have changed.
FULL_INTERVAL = 3600.0
# The newest so many problems of one service are reported.
PROBLEMS_KEPT = 500
APPLIED = 'revision'  # the mark of the ledger


class Runner:
    """`finished` gives the digests of the tokens of builds that have ended here (`outbox.Outbox.finished`)."""

    def __init__(
        self,
        service: Service,
        state: Callable[[], State],
        ledger: Ledger,
        board: Board,
        limits: Limits,
        finished: Callable[[], frozenset[str]],
    ) -> None:
        self.service = service
        self._state = state
        self._ledger = ledger
        self._board = board
        self._limits = limits
        self._finished = finished
        self._problems: dict[tuple[str, int], list[Problem]] = {}
        self._drift: list[Problem] = []
        self._failures = 0
        self._applied_changes = 0
        self._drifts = 0
        self._full_next = True
        self._last_full = 0.0
        self._last_verify = 0.0
        self._work = threading.Event()
        self._work.set()

    # ------------------------------------------------------------------ the thread

    def wake(self) -> None:
        self._work.set()

    def look_at_everything(self) -> None:
        """A person asks: the next plan is a full one, and what was to be left alone for a while is tried again."""
        if isinstance(self.service, Patient):
            self.service.retry()
        self._full_next = True
        self._work.set()

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set (and `wake` called)."""
        self._board.service(self.service.name, self.service.backend, cannot=list(self.service.cannot()))
        with closing(self._state()) as state:
            while not stop.is_set():
                self._work.clear()
                try:
                    wait = self.step(state)
                except Exception as error:
                    # Whatever went wrong with one service, it is tried again and reported; the others are not touched.
                    wait = self._failed(error, f'{type(error).__name__}: {error}')
                    log.exception('service failed', service=self.service.name)
                self._work.wait(wait)

    def step(self, state: State) -> float:
        """Whatever is to be done now.  Returns after how many seconds there may be something again."""
        now = time.monotonic()
        if now - self._last_full > FULL_INTERVAL:
            self._full_next = True
        with state.view(self._finished()) as view:
            if view.about() is None:
                self._report(state='starting', message='There is no desired state yet: NetBox was not reached so far.')
                return VERIFY_INTERVAL
            try:
                self._reconcile(state, view)
            except Unsafe as refused:
                self._full_next |= refused.plan.full
                self._refused(refused)
                return VERIFY_INTERVAL
            except ApplyError as error:
                return self._failed(error, str(error))
            if time.monotonic() - self._last_verify > VERIFY_INTERVAL and not self._well(view):
                return BACK_OFF[0]
        return VERIFY_INTERVAL

    # ------------------------------------------------------------------ plan and apply

    @property
    def applied(self) -> int | None:
        found = self._ledger.mark(APPLIED)
        return int(found) if found else None

    def _reconcile(self, state: State, view: View) -> None:
        changed = self._to_look_at(view)
        if changed is not None and not changed:
            self._report(revision=view.revision)
            return
        if changed is None:
            self._full_next = False  # who asks for it from now on is not heard by this plan
        began = time.monotonic()
        plan = self.service.plan(view, changed)
        seconds = time.monotonic() - began
        self._remember(plan, changed)
        self._report(
            last_plan=time.time(), plan_seconds=round(seconds, 4), existing=plan.existing, planned=planned(plan),
            fingerprint=plan.fingerprint if plan else '', applying=bool(plan), difference=difference(plan),
        )  # fmt: skip
        if plan:
            guard(plan, self._limits, state.accepted)
            began = time.monotonic()
            self.service.apply(plan)
            self._applied(plan, time.monotonic() - began)
            state.used(plan.fingerprint)
        self._ledger.write(revision=str(view.revision))
        if changed is None:
            self._last_full = time.monotonic()
        self._failures = 0
        self._report(
            state='degraded' if self._drift else 'ok',
            message='; '.join(problem.message for problem in self._drift[:3]),
            revision=view.revision, planned=Planned(), fingerprint='', failures=0, last_error='', applying=False,
            difference=[],
        )  # fmt: skip

    def _to_look_at(self, view: View) -> Changed | None:
        applied = self.applied
        if self._full_next or applied is None or applied > view.revision:
            return None
        return view.changed(applied)

    def _remember(self, plan: Plan, changed: Changed | None) -> None:
        """Problems of what was looked at are replaced; the others stand."""
        if changed is None or plan.full:
            self._problems.clear()
        else:
            for kind, ids in changed.ids.items():
                for number in ids:
                    self._problems.pop((kind, number), None)
            for key in plan.looked_at:
                self._problems.pop(key, None)
            self._problems.pop(('service', 0), None)
        for problem in plan.problems:
            found = self._problems.setdefault((problem.what, problem.id), [])
            if problem not in found:
                found.append(problem)
        self._publish_problems()

    def _publish_problems(self) -> None:
        found = [problem for problems in self._problems.values() for problem in problems]
        self._board.problems(self.service.name, [*self._drift, *found][:PROBLEMS_KEPT])

    def _applied(self, plan: Plan, seconds: float) -> None:
        self._applied_changes += len(plan.changes)
        self._report(
            last_apply=time.time(), apply_seconds=round(seconds, 4), applied_changes=self._applied_changes,
            existing=max(0, plan.existing + plan.count('add') - plan.count('remove')),
        )  # fmt: skip
        for change in plan.changes[:100]:
            log.info(
                'applied', service=self.service.name, backend=self.service.backend, operation=change.operation,
                key=change.key, **({'machine': change.machine} if change.machine else {}),
            )  # fmt: skip
        if len(plan.changes) > 100:
            log.info('applied, and more', service=self.service.name, more=len(plan.changes) - 100)

    # ------------------------------------------------------------------ when it is not well

    def _refused(self, refused: Unsafe) -> None:
        log.warning('plan refused', service=self.service.name, reason=str(refused))
        self._report(
            state='degraded', message=str(refused), planned=planned(refused.plan),
            difference=difference(refused.plan), fingerprint=refused.plan.fingerprint, last_error=str(refused),
            applying=False,
        )  # fmt: skip

    def _failed(self, error: BaseException, message: str) -> float:
        self._failures += 1
        self._full_next = True
        log.error('service failed', service=self.service.name, backend=self.service.backend, reason=message)
        self._report(state='down', message=message, failures=self._failures, last_error=message, applying=False)
        return BACK_OFF[min(self._failures, len(BACK_OFF)) - 1]

    def _well(self, view: View) -> bool:
        """Compare the running server with what was applied.  False: everything is to be looked at again, soon."""
        self._last_verify = time.monotonic()
        found = list(self.service.verify(view))
        if found:
            self._drifts += 1
            for problem in found:
                log.warning('drift', service=self.service.name, problem=str(problem))
            self._report(state='degraded', message='; '.join(p.message for p in found[:3]), drift=self._drifts)
        elif self._drift:
            self._report(state='ok', message='')
        mend = bool(found) and found != self._drift  # once for each drift: what cannot be mended is only reported
        self._drift = found
        self._publish_problems()
        if mend:
            self._full_next = True
            self._work.set()
        return not mend

    def _report(self, **fields: object) -> None:
        self._board.service(self.service.name, self.service.backend, **fields)
