"""What a service is: DHCP, DNS or boot files, kept as NetBox says by one backend.

Data runs one way: a `View` of the desired state goes in, a `Plan` comes out, and `apply` carries it out.  A service
does not know where the desired state comes from, does not talk to NetBox, and keeps what it must remember in its
`Ledger`.  It is called by one thread at a time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from .plan import Plan, Problem
from .state import Changed, View

type Verdict = Literal['ok', 'warning', 'error']


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `substruct-sidecar check`: what was looked at, how it is, and what to do if it is not well."""

    part: str
    verdict: Verdict
    message: str
    remedy: str = ''


class ApplyError(Exception):
    """A plan could not be carried out.  The message says what happened, what is served now, and what to do.

    Whoever raises it has put the last good configuration back, or says in the message that this failed too.
    """


class Service(Protocol):
    """`name` is dhcp, dns or files; `backend` is kea, isc, dnsmasq, rfc2136, …"""

    @property
    def name(self) -> str: ...

    @property
    def backend(self) -> str: ...

    def cannot(self) -> Sequence[str]:
        """What this backend cannot do, as it is set, each in one sentence for people."""
        ...

    def check(self) -> Iterable[Finding]:
        """Whether it could work: binaries, control channels, folders, credentials.  Changes nothing."""
        ...

    def plan(self, view: View, changed: Changed | None = None) -> Plan:
        """What is to be done so that the service is as the view says.  Changes nothing.

        With `changed`, only what these objects touch needs to be looked at; the cost must then grow with their number.
        A backend may look at everything all the same and say so (`Plan.full`).
        """
        ...

    def apply(self, plan: Plan) -> None:
        """Carry out a plan of this service.  Raises ApplyError.  Must bear being killed at any point: the next plan
        and apply mend what was left."""
        ...

    def verify(self, view: View) -> Iterable[Problem]:
        """Where the running server differs from what was applied: it is down, it runs another configuration, somebody
        changed what is ours.  Cheap enough to be called every minute."""
        ...


@runtime_checkable
class Patient(Protocol):
    """A service that leaves alone for a while what its server did not take."""

    def retry(self) -> None:
        """A person asks: it is tried with the next plan.  Called by any thread."""
        ...


@runtime_checkable
class Seeing(Protocol):
    """A service whose `check` is also about what is to be served."""

    def see(self, view: View) -> None:
        """What is to be served, for `check`."""
        ...
