"""A browser that looks at a really served NetBox: one server, one small data centre and one chromium for all tests.

With SUBSTRUCT_SCREENSHOTS=<folder> every page that is visited is also kept there as a picture, wide and narrow.
With SUBSTRUCT_PICTURES=docs/images the pictures of the manual are taken anew.
"""

import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.serving import committed_database, served_netbox

CHROMIUM = ('chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome')
# Nothing but the page itself: no sandbox (tests may run as root), and no calls home.
ARGUMENTS = [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync',
]  # fmt: skip
PATIENCE = 90  # seconds, for machines that have much else to do
WIDE = {'width': 1500, 'height': 1000}
NARROW = {'width': 420, 'height': 900}
TALLEST = 1600  # of a picture in the manual; what is beneath is cut off
SPILL = 'document.documentElement.scrollWidth - document.documentElement.clientWidth'


@dataclass
class Visitor:
    """Somebody signed in, at one page after the other; what goes wrong there is noticed."""

    page: Any
    base: str
    spill_of: dict[str, int] = field(default_factory=dict)  # what NetBox's own pages of a kind have, in pixels
    errors: list[str] = field(default_factory=list)
    pending: set[Any] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.page.on('console', lambda message: message.type == 'error' and self.errors.append(message.text))
        self.page.on('pageerror', lambda error: self.errors.append(str(error)))
        self.page.on('request', lambda request: self.pending.add(request))
        for end in ('requestfinished', 'requestfailed'):
            self.page.on(end, lambda request: self.pending.discard(request))

    def sign_in(self, username: str, password: str) -> None:
        self.page.goto(f'{self.base}/login/')
        self.page.fill('input[name=username]', username)
        self.page.fill('input[name=password]', password)
        self.page.click('button[type=submit]')
        self.settle()
        assert '/login/' not in self.page.url, 'NetBox refused the login'

    def settle(self) -> None:
        """Until the page and the tables that it loads afterwards are there."""
        self.page.wait_for_load_state('load')
        quiet, end = 0, time.monotonic() + PATIENCE
        while time.monotonic() < end:
            quiet = 0 if self.pending else quiet + 1
            if quiet == 3:
                return
            self.page.wait_for_timeout(10)
        raise AssertionError(f'{self.page.url}: still waiting for {[request.url for request in self.pending]}')

    def visit(self, path: str, *, kind: str = '', status: int = 200) -> None:
        """Open a page, and hold it to what every page promises."""
        self.errors.clear()
        self.pending.clear()
        answer = self.page.goto(self.base + path)
        assert answer.status == status, f'{path}: {answer.status}'
        self.settle()
        if status == 200:
            self.check(kind)

    def check(self, kind: str = '') -> None:
        path = self.page.url.removeprefix(self.base)
        assert not self.errors, f'{path}: {self.errors}'
        spill = self.page.evaluate(SPILL)
        assert spill <= self.spill_of.get(kind, 0), f'{path} is {spill} px wider than the window'
        if folder := os.environ.get('SUBSTRUCT_SCREENSHOTS'):
            self.picture(Path(folder), path)

    def picture(self, folder: Path, path: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        before = self.page.viewport_size
        name = re.sub(r'\W+', '-', path).strip('-') or 'home'
        for label, size in (('wide', WIDE), ('narrow', NARROW)):
            self.page.set_viewport_size(size)
            self.page.screenshot(path=folder / f'{name}.{label}.png', full_page=True)
        self.page.set_viewport_size(before)

    def for_manual(self, name: str) -> None:
        """Keep what the browser shows, for the manual."""
        if folder := os.environ.get('SUBSTRUCT_PICTURES'):
            before = self.page.viewport_size
            self.page.set_viewport_size(WIDE)
            self.page.evaluate('document.querySelectorAll(".toast").forEach(each => each.remove())')
            self.page.mouse.move(0, 0)
            top = {'x': 0, 'y': 0, 'width': WIDE['width'], 'height': TALLEST}
            self.page.screenshot(path=Path(folder) / f'{name}.png', full_page=True, clip=top)
            self.page.set_viewport_size(before)

    def says(self, text: str) -> bool:
        return text in self.page.inner_text('body')


@pytest.fixture(scope='module')
def world(django_db_setup, django_db_blocker) -> Iterator[Any]:
    if not any(map(shutil.which, CHROMIUM)):
        pytest.skip('chromium is not installed (tools/system-packages names the package)')
    from django.db import connections

    with pytest.MonkeyPatch.context() as patch:
        # Playwright runs an event loop in this thread, beside which Django would refuse to ask the database, or keep
        # connections of its own for what it takes for asynchronous code: a thread has one, as everywhere in the tests.
        patch.setenv('DJANGO_ALLOW_ASYNC_UNSAFE', '1')
        patch.setattr(connections, '_connections', threading.local())
        with committed_database(django_db_blocker):
            from .world import a_data_centre

            yield a_data_centre()


@pytest.fixture(scope='module')
def visitor(world) -> Iterator[Callable[..., Visitor]]:
    """Signs somebody in: `visitor(user, wide)`."""
    from playwright.sync_api import sync_playwright

    from .world import PASSWORD

    program = next(found for name in CHROMIUM if (found := shutil.which(name)))
    with served_netbox() as base, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)

        def sign_in(user: Any, size: dict[str, int]) -> Visitor:
            who = Visitor(browser.new_context(viewport=size).new_page(), base)
            who.page.set_default_timeout(PATIENCE * 1000)
            who.sign_in(user.username, PASSWORD)
            return who

        try:
            yield sign_in
        finally:
            browser.close()


@pytest.fixture(scope='module')
def narrow(visitor, world) -> Visitor:
    """The administrator at a narrow window, who knows how far NetBox's own pages spill over."""
    found = visitor(world.admin, NARROW)
    # The table of fields under an import form is as wide as its longest word.
    found.page.goto(f'{found.base}/vpn/ipsec-proposals/import/')
    found.spill_of['import'] = found.page.evaluate(SPILL)
    return found


@pytest.fixture(scope='module')
def wide(visitor, world) -> Visitor:
    return visitor(world.admin, WIDE)
