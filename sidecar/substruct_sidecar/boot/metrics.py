"""The numbers that Prometheus reads: what this process counts, and what the others left in the run folder."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .. import status
from ..version import __version__

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0, 300.0)


class Metrics:
    """`waiting` gives how many messages wait for NetBox and since when (seconds since 1970)."""

    def __init__(self, run_folder: Path, waiting: Callable[[], tuple[int, float | None]]) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            'substruct_http_requests', 'Requests answered.', ('kind', 'status'), registry=self.registry
        )
        self.seconds = Histogram(
            'substruct_http_request_seconds', 'Seconds until a request was answered, whole files included.', ('kind',),
            buckets=BUCKETS, registry=self.registry,
        )  # fmt: skip
        self.scripts = Counter(
            'substruct_boot_scripts', 'Boot scripts served, by what they boot.', ('action',), registry=self.registry
        )
        self.orders = Counter(
            'substruct_orders', 'Orders given to machines that run the prospector.', ('action',), registry=self.registry
        )
        self.callbacks = Counter(
            'substruct_callbacks', 'Reports of machines that were kept.', ('callback',), registry=self.registry
        )
        self.token_misses = Counter(
            'substruct_token_misses', 'Requests with a token that is no build’s.', registry=self.registry
        )
        self.file_bytes = Counter('substruct_file_bytes', 'Bytes of files sent.', registry=self.registry)
        self.hooks = Counter('substruct_hooks', 'Webhooks that arrived.', ('verdict',), registry=self.registry)
        self.registry.register(_Elsewhere(run_folder, waiting))


class _Elsewhere(Collector):
    """Read anew at each scrape: the agent's status, the TFTP server's numbers, the outbox."""

    def __init__(self, run_folder: Path, waiting: Callable[[], tuple[int, float | None]]) -> None:
        self._folder = run_folder
        self._waiting = waiting

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        info = GaugeMetricFamily('substruct_sidecar_info', 'The version of the sidecar.', labels=('version',))
        info.add_metric((__version__,), 1)
        yield info
        waiting, oldest = self._waiting()
        yield GaugeMetricFamily('substruct_outbox_waiting', 'Messages that NetBox does not have yet.', waiting)
        yield GaugeMetricFamily(
            'substruct_outbox_oldest_seconds',
            'Age of the oldest of them.',
            max(0.0, time.time() - oldest) if oldest else 0,
        )
        yield from self._agent()
        yield from self._tftp()

    def _agent(self) -> Iterator[Metric]:
        found = status.read(self._folder)
        up = found is not None and time.time() - found.written < STALE
        yield GaugeMetricFamily('substruct_agent_up', 'Whether the agent has written its status lately.', float(up))
        if found is None:
            return
        yield GaugeMetricFamily('substruct_state_revision', 'The revision of the desired state.', found.revision)
        if found.netbox.taken is not None:
            yield GaugeMetricFamily(
                'substruct_state_age_seconds', 'Since NetBox last answered in full.', time.time() - found.netbox.taken
            )
        yield GaugeMetricFamily('substruct_netbox_up', 'Whether NetBox answers.', float(found.netbox.state == 'ok'))
        yield CounterMetricFamily('substruct_netbox_failures', 'Answers of NetBox that failed.', found.netbox.failures)
        yield GaugeMetricFamily('substruct_problems', 'What cannot be served as it stands.', len(found.problems))
        yield GaugeMetricFamily('substruct_outbox_refused', 'Messages that NetBox refused.', found.outbox.refused)
        objects = GaugeMetricFamily('substruct_state_objects', 'Objects of the desired state.', labels=('kind',))
        for kind, count in found.counts.items():
            objects.add_metric((kind,), count)
        yield objects
        labels = ('service', 'backend')
        service_up = GaugeMetricFamily('substruct_service_up', '1 if a service is as it should be.', labels=labels)
        behind = GaugeMetricFamily('substruct_service_behind', 'Revisions not applied yet.', labels=labels)
        drift = CounterMetricFamily('substruct_service_drift', 'How often a server had drifted.', labels=labels)
        planning = GaugeMetricFamily('substruct_service_plan_seconds', 'How long the last plan took.', labels=labels)
        applying = GaugeMetricFamily('substruct_service_apply_seconds', 'How long applying it took.', labels=labels)
        for service in found.services:
            at = (service.name, service.backend)
            service_up.add_metric(at, float(service.state == 'ok'))
            behind.add_metric(at, max(0, found.revision - service.revision))
            drift.add_metric(at, service.drift)
            planning.add_metric(at, service.plan_seconds)
            applying.add_metric(at, service.apply_seconds)
        yield from (service_up, behind, drift, planning, applying)

    def _tftp(self) -> Iterator[Metric]:
        """Whatever numbers the TFTP server tells of itself, under their own names."""
        try:
            found = json.loads((self._folder / 'tftp.json').read_bytes())
        except (OSError, ValueError):
            return
        if not isinstance(found, dict):
            return
        for name, value in found.items():
            if isinstance(value, int | float) and isinstance(name, str) and name.isidentifier():
                yield GaugeMetricFamily(f'substruct_tftp_{name}', f'TFTP: {name.replace("_", " ")}.', value)


# Seconds after which an agent that has written nothing is taken for dead.
STALE = 30.0
