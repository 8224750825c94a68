"""The prospector: finds drivers and the network, tells the boot server what the machine is, and does what it is told.

/init starts it, and again if it ever ends.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from . import arguments as command_line
from . import console as consoles
from . import devices, handover, network, orders, rescue, script, web
from .arguments import Arguments
from .facts import gather
from .facts.source import Source

HOME = Path('/usr/lib/prospector')
# Seconds that all drivers may take.
DEVICES = 600.0
# Seconds without an answer after which all network cards are tried again.
SILENT = 300.0


class Prospector:
    """One boot.  `arguments` change when orders give the machine another mode."""

    def __init__(self, arguments: Arguments, console: consoles.Console) -> None:
        self.arguments = arguments
        self.console = console
        self.say = console.say
        self.about = self._about()
        self.source: Source = gather.source_of()
        self.identity: dict[str, object] = {}
        self.line: network.Line | None = None
        self.network = network.Network(arguments, self.say, console.again)
        self.hardware: dict[str, object] = {}
        self._gathering: threading.Thread | None = None
        self._posted = b''
        self.extra: dict[str, object] = {}
        # A build that failed here: its disk is not to be booted, and people may want to look.
        self.failed = ''
        self.wiped = False
        # The mode is what the boot server has ordered since the start, rather than what the kernel was started with.
        self._ordered = False
        self._shell = False
        self._ready = threading.Event()
        self._complete = False

    # ------------------------------------------------------------------ beginning

    @staticmethod
    def _about() -> dict[str, str]:
        try:
            found = json.loads((HOME / 'about.json').read_bytes())
        except (OSError, ValueError):
            return {}
        return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}

    def begin(self) -> None:
        uname = os.uname()
        self.say(
            f'Substruct prospector {self.about.get("version", "")}, Linux {uname.release}, mode {self.arguments.mode}'
        )
        for fault in self.arguments.faults:
            self.say(fault)
        known = devices.start_network(self.say)
        self.identity = gather.identity(self.source)
        macs = self.identity.get('macs')
        system = (
            f'{self.source.text("sys/class/dmi/id/sys_vendor")} {self.source.text("sys/class/dmi/id/product_name")}'
        )
        self.say(f'This machine is {system}, serial number {self.identity.get("serial") or "unknown"}')
        self.say(f'UUID {self.identity.get("uuid") or "unknown"}, {"UEFI" if self.uefi else "BIOS"}')
        for card in network.cards():
            booted = ' (it booted from this one)' if card.mac == self.arguments.boot_mac else ''
            self.say(f'Network card {card.name} has the MAC address {card.mac}{booted}')
        if not macs:
            self.say('There is no network card with a driver yet')
        self._gathering = threading.Thread(target=self._gather, args=(known,), daemon=True)
        self._gathering.start()

    @property
    def uefi(self) -> bool:
        return Path('/sys/firmware/efi').exists()

    def _gather(self, known: set[str]) -> None:
        self._complete = devices.start(self.say, known)
        devices.start_udev(self.say)
        devices.settle(20.0, self.say)
        self._ready.set()
        self.hardware = gather.hardware(self.source)

    def wait_for_devices(self) -> bool:
        """Until all disks that are there have been found, and looked at.  False where that has not come to its end in
        minutes, so that some may be missing."""
        deadline = time.monotonic() + DEVICES
        while not self._ready.wait(max(0.0, min(30.0, deadline - time.monotonic()))):
            if time.monotonic() >= deadline:
                break
            self.say('Waiting for the drivers of disks and controllers')
        devices.settle(20.0, self.say)
        return self._ready.is_set() and self._complete

    def connect(self) -> None:
        if not self.arguments.url:
            while True:
                self.console.again('url', 'Nothing can be done without the kernel argument substruct.url')
                time.sleep(10.0)
        self.line = self.network.connect(self._reach)
        self.say(f'The boot server {self.arguments.url} answers over {self.line.interface}')
        # Cards that came up late count too.
        self.identity = gather.identity(self.source)

    def _reach(self) -> None:
        """Raises WebError.  Any answer will do: it is there."""
        try:
            answer = web.ask(f'{self.arguments.url}/healthz', silence=5.0)
        except web.WebError as error:
            if not error.status:
                raise
            return
        network.set_clock(answer.date, self.say)

    @property
    def me(self) -> orders.Who:
        boot = self.arguments.boot_mac or (self.line.mac if self.line else '')
        return orders.who(self.identity, boot, os.uname().machine, self.uefi)

    # ------------------------------------------------------------------ facts

    def facts(self) -> bytes:
        if self._gathering is not None:
            self._gathering.join(120.0)
        source = self.source
        asked = gather.Asked(
            self.me.macs[0] if self.me.macs and self.arguments.boot_mac else '',
            self.line.interface if self.line else '', dict(self.network.listener.neighbours),
        )  # fmt: skip
        data = {**self.hardware, **gather.network(source, asked), **self.extra}
        return gather.document(self.identity, data, source.problems, {})

    def tell_facts(self, tries: int) -> None:
        """Tell the boot server, unless it has been told exactly this.  Raises WebError."""
        found = self.facts()
        if found == self._posted:
            return
        first = not self._posted
        body = self._signed(found)
        if first:
            problems = len(self.source.problems)
            said = f', {problems} problems' if problems else ''
            self.say(f'The facts are gathered ({len(body)} bytes{said}); telling the boot server')
            for problem in self.source.problems[:20]:
                self.say(f'  problem: {problem}')
        web.patiently(
            lambda: web.ask(f'{self.arguments.url}/facts', 'POST', body, 'application/json'),
            lambda words: self.console.again('facts', f'The facts are not told yet: {words}', 30.0), tries,
        )  # fmt: skip
        self._posted = found
        self.say('The boot server has the facts' if first else 'The boot server has new facts')

    def _signed(self, found: bytes) -> bytes:
        """With who gathered it, and when: that alone is nothing new."""
        document = json.loads(found)
        document['data']['prospector'] = {
            'version': self.about.get('version'), 'recipe': self.about.get('recipe'), 'kernel': os.uname().release,
            'mode': self.arguments.mode, 'seconds': round(consoles.uptime(), 1),
        }  # fmt: skip
        return json.dumps(document).encode()

    # ------------------------------------------------------------------ orders

    def follow_orders(self) -> None:
        """Until there is something to do; then the arguments say what, or the machine is gone."""
        last = ''
        told = heard = time.monotonic()
        while True:
            try:
                found = orders.ask(self.arguments.url, self.me)
                heard = time.monotonic()
            except web.WebError as error:
                self.console.again('orders', f'No orders: {error}; asking again')
                time.sleep(10.0)
                if not error.status and time.monotonic() - heard > SILENT:
                    # Perhaps the cable is in another card now, or the port in another network.
                    self.say(f'Nothing was heard for {SILENT / 60.0:.0f} minutes; looking for the boot server anew')
                    self.connect()
                    heard = time.monotonic()
                continue
            words = f'{found.machine or "This machine"}: {found.reason or found.action}'
            if words != last or time.monotonic() - told > 600.0:
                self.say(words if found.action in ('build', 'wipe', 'rescue') else f'{words} Waiting for orders')
                last, told = words, time.monotonic()
            if self._obeyed(found):
                return
            time.sleep(found.again)
            self._notice()

    def _notice(self) -> None:
        """A neighbour that spoke late, a cable that was plugged in: the boot server is told."""
        try:
            self.tell_facts(tries=1)
        except web.WebError as error:
            self.console.again('facts', f'New facts are not told yet: {error}', 30.0)

    def _obeyed(self, found: orders.Orders) -> bool:
        """Whether there is something to do here."""
        if found.action == 'local' and self.failed:
            self.console.again('failed', f'The build has failed: {self.failed} The machine stays as it is', 600.0)
            return False
        if found.action == 'local' and self.wiped:
            self.console.again('wiped', 'The disks are erased, so there is nothing to boot; waiting for a build', 600.0)
            return False
        if found.action == 'local' and not found.wait:
            self.say(f'There is nothing more to do here: {found.reason}')
            handover.reboot(self.say, self.console.flush)
        if found.action == 'nothing':
            self.say(f'This machine has no work: {found.reason}')
            handover.power_off(self.say, self.console.flush)
        if found.action not in ('build', 'rescue', 'wipe'):
            return False
        return self._boot_script()

    def _boot_script(self) -> bool:
        url = orders.script_url(self.arguments.url, self.me)
        try:
            text = web.ask(url).body.decode('utf-8', 'replace')
        except web.WebError as error:
            self.say(f'The boot script cannot be fetched: {error}')
            return False
        found = script.follow(text, self.me.settings, url)
        if isinstance(found, script.Kernel):
            if found.url.startswith(f'{self.arguments.url}/prospector/'):
                self.arguments = command_line.parse(f'{found.arguments} substruct.url={self.arguments.url}')
                for fault in self.arguments.faults:
                    self.say(fault)
                self._ordered = True
                self.say(f'Going on in mode {self.arguments.mode}')
                return True
            self.say(f'Starting {found.url}')
            if handover.load(found, self.say):
                handover.start(self.say, self.console.flush)
            handover.reboot(self.say, self.console.flush)
        if isinstance(found, script.Chain):
            return False  # it is to ask again: something is not ready
        words = f'it uses "{found.line}"' if isinstance(found, script.Beyond) else 'it boots the disk'
        self.say(f'The boot script cannot be followed from here: {words}')
        handover.reboot(self.say, self.console.flush)
        return False

    # ------------------------------------------------------------------ modes

    def run(self) -> None:
        self.begin()
        if self.arguments.debug or self.arguments.mode == 'rescue':
            self.offer_shell()
        self.connect()
        while True:
            self.act()

    def act(self) -> None:
        """What the mode says, and then what the boot server does."""
        mode = self.arguments.mode
        if mode in ('image', 'script'):
            # The facts are worth having, and not worth waiting for.
            threading.Thread(target=self._tell_aside, daemon=True).start()
            from . import modes

            modes.carry_out(self)
        elif mode == 'wipe':
            from . import modes

            # What /init has started a second time is not done a second time; what is ordered later, is.
            if self._ordered or not modes.was_wiped(self):
                modes.wipe_disks(self)
            self._tell_first()
        else:
            if mode == 'rescue':
                self.offer_shell()
            self._tell_first()
        if mode == 'rescue':
            self.say('The rescue system is ready; it stays until the machine is rebooted')
            while True:
                time.sleep(60.0)
                self._notice()
        self.follow_orders()

    def _tell_first(self) -> None:
        """For ever, unless the boot server refuses them: then there may be orders all the same."""
        try:
            self.tell_facts(tries=sys.maxsize)
        except web.WebError as error:
            self.say(f'The boot server does not take the facts: {error}')

    def _tell_aside(self) -> None:
        try:
            self.tell_facts(tries=3)
        except web.WebError as error:
            self.say(f'The facts are not told: {error}')

    def environment(self) -> dict[str, str]:
        """For scripts and shells: where they are."""
        return {
            'SUBSTRUCT_URL': self.arguments.url, 'SUBSTRUCT_BUILD': self.arguments.build,
            'SUBSTRUCT_SERIAL': str(self.identity.get('serial') or ''),
            'SUBSTRUCT_UUID': str(self.identity.get('uuid') or ''),
            'SUBSTRUCT_MAC': self.me.macs[0] if self.me.macs else '',
        }  # fmt: skip

    def offer_shell(self) -> None:
        if not self._shell:
            self._shell = True
            rescue.offer(self.console, self.environment())


def main() -> None:
    # Not SIG_IGN, which every program inherits: Ctrl-C would end nothing in a shell.
    signal.signal(signal.SIGINT, lambda *_: None)
    console = consoles.Console()
    active = _active()
    for path in consoles.consoles():
        consoles.prepare(path, path.rpartition('/')[2] in active)
        console.write_to(path)
    arguments = command_line.parse(_command_line())
    guarded(Prospector(arguments, console).run, console)


def guarded(run: Callable[[], None], console: consoles.Console) -> None:
    try:
        run()
    except Exception as error:
        console.say(f'The prospector has a fault of its own: {type(error).__name__}: {error}')
        console.flush()
        raise


def _command_line() -> str:
    return Path('/proc/cmdline').read_text('utf-8', 'replace')


def _active() -> list[str]:
    try:
        return Path('/sys/class/tty/console/active').read_text().split()
    except OSError:
        return []
