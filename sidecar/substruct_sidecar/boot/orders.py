"""What a machine that runs the prospector is to do now: what its boot loader would be told, in a few words of JSON.

    GET  /orders?mac=&uuid=&serial=&arch=&platform=

It is asked every few seconds by machines that wait, and asking changes nothing: nothing counts as served, no step of a
build is told, and no token is given out.  With `build`, `rescue` and `wipe` the machine then fetches its script, and
that is what counts.
"""

import math
import time
from collections import OrderedDict
from typing import Literal

import msgspec
from aiohttp import web

from .front import Front
from .machine_routes import Seen
from .scripts import Answer, Kind, Scripts

# Questions a second from all that wait, and the bounds of the seconds between two of one machine.
RATE = 25.0
SOONEST, LATEST = 3, 60
# Seconds for which an answer may be given again, and that one who asks no more counts as waiting.
HOLDS = 1.0
WAITS = 180.0
# Answers that are kept, and machines that are counted.
KEPT = 8192
# Seconds after which nobody comes from a discovery that was asked for once.
ONCE = 86400.0

FORMAT_VERSION = 1

# What the machine is told of the kinds of answers (`scripts.Kind`); the words are the same.
type Action = Literal[
    'build', 'local', 'rescue', 'discovery', 'wipe', 'nothing', 'unknown', 'conflict', 'waiting', 'no-state'
]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """`wait`: it stays where it is and asks again after `again` seconds.  `machine` is '' for one that is not known."""

    format_version: int = FORMAT_VERSION
    machine: str
    action: Action
    reason: str
    wait: bool
    again: int


# Kinds of answers with which a machine does something else than to stay.
_ENDS_WAITING: frozenset[Kind] = frozenset(('build', 'rescue', 'wipe', 'nothing'))


class Orders:
    """The route, for one event loop."""

    def __init__(self, front: Front, scripts: Scripts, seen: Seen) -> None:
        self._front = front
        self._reader = front.reader
        self._scripts = scripts
        self._seen = seen
        self._counts = {kind: front.metrics.orders.labels(kind) for kind in Action.__value__.__args__}
        self._answers: OrderedDict[tuple[str, str], tuple[float, bytes]] = OrderedDict()
        self._waiting: OrderedDict[str, float] = OrderedDict()

    def routes(self) -> list[web.RouteDef]:
        return [self._front.get('/orders', 'orders', self.orders, head=False)]

    async def orders(self, request: web.Request) -> web.StreamResponse:
        address = self._front.address(request)
        now = time.monotonic()
        key = (request.raw_path[:4000], address)
        kept = self._answers.get(key)
        if kept is not None and now - kept[0] < HOLDS:
            return self._answer(kept[1])
        order = self._order(request, address, now)
        self._counts[order.action].inc()
        body = msgspec.json.encode(order)
        self._answers[key] = now, body
        self._answers.move_to_end(key)
        if len(self._answers) > KEPT:
            self._answers.popitem(last=False)
        return self._answer(body)

    @staticmethod
    def _answer(body: bytes) -> web.Response:
        return web.Response(
            body=body, headers={'Content-Type': 'application/json; charset=utf-8', 'Cache-Control': 'no-store'}
        )

    def _order(self, request: web.Request, address: str, now: float) -> Order:
        answer = self._scripts.ipxe(self._front.said(request), address, self._front.base_url(address))
        if answer.machine is not None:
            self._seen.note(answer.machine)
        action, wait = self._meaning(answer)
        return Order(
            machine=answer.machine.name if answer.machine is not None else '',
            action=action,
            reason=answer.reason,
            wait=wait,
            again=self._again(address, now),
        )

    def _meaning(self, answer: Answer) -> tuple[Action, bool]:
        """The action, and whether it stays."""
        machine = answer.machine
        if answer.kind == 'nothing' and machine is not None and machine.boot.action != 'nothing':
            # What it was asked for once was served, or cannot be: its own disk.
            return 'local', False
        if answer.kind != 'local':
            return answer.kind, answer.kind not in _ENDS_WAITING
        return 'local', machine is not None and machine.state == 'registered' and not self._came_once(machine.id)

    def _came_once(self, machine: int) -> bool:
        """Whether it is here because it was asked for discovery once: then its disk is where it came from.

        A registered machine that was not is here because it was unknown or discovered when it booted: NetBox has a
        name for it meanwhile, and nothing was ever built on it.
        """
        served = self._reader.last_served_once(machine, 'discovery')
        return served is not None and abs(time.time() - served) < ONCE

    def _again(self, address: str, now: float) -> int:
        """Seconds until it may ask again: more if many wait."""
        self._waiting[address] = now
        self._waiting.move_to_end(address)
        while (oldest := next(iter(self._waiting))) and (
            now - self._waiting[oldest] > WAITS or len(self._waiting) > KEPT
        ):
            del self._waiting[oldest]
        return min(LATEST, max(SOONEST, math.ceil(len(self._waiting) / RATE)))
