"""Boot files are fetched once, checked, resumed, published whole, and removed when nothing refers to them."""

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from substruct_sidecar import settings as settings_module
from substruct_sidecar.boot.fetch import FetchError, Terms, Wanted, fetch, revalidate
from substruct_sidecar.boot.files_service import Files, needs_of
from substruct_sidecar.boot.files_store import About, FilesStore, name_of
from substruct_sidecar.desired import BootFile
from substruct_sidecar.outbox import Outbox
from substruct_sidecar.plan import Limits, guard
from tests.sidecar.boot.source import Held, Source
from tests.sidecar.world import World

CONTENT = bytes(range(256)) * 9000  # more than two chunks


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def source() -> Iterator[Source]:
    with Source() as made:
        yield made


@pytest.fixture
def store(tmp_path: Path) -> FilesStore:
    store = FilesStore(tmp_path / 'files')
    store.make()
    return store


def wanted(url: str, content: bytes | None = CONTENT) -> Wanted:
    """With its SHA-256, or by its URL alone."""
    file = BootFile(role='kernel', url=url, sha256=sha256(content) if content is not None else None, path='')
    name = name_of(file)
    return Wanted(name, url, '' if name.startswith('url-') else name)


def content_of(store: FilesStore, name: str) -> bytes:
    opened = store.open(name)
    assert opened is not None
    with opened.stream:
        return opened.stream.read()


class Unquoted(dict[str, Held]):
    """Files of a source by what their paths mean."""

    def get(self, path: str, default: object = None) -> Held | None:  # type: ignore[override]
        return super().get(unquote(path))


def read_only(path: Path) -> bool:
    return path.stat().st_mode & 0o022 == 0


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, 'it did not come to pass'
        time.sleep(0.02)


# ---------------------------------------------------------------------- one file


def test_a_file_is_fetched_checked_and_published_under_its_content(source: Source, store: FilesStore) -> None:
    seen: list[tuple[int, int]] = []
    what = wanted(source.put('vmlinuz', CONTENT))
    about = fetch(what, store, Terms(), lambda done, total: seen.append((done, total)))
    assert content_of(store, sha256(CONTENT)) == CONTENT
    assert (about.sha256, about.size) == (sha256(CONTENT), len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert read_only(store.folder / what.name)
    assert list(store.partials()) == []


@pytest.mark.parametrize('written', ['müller/vm linuz?x=ü', 'a%20b', 'vmlinuz+1~2#part'])
def test_urls_may_be_written_as_people_write_them(source: Source, store: FilesStore, written: str) -> None:
    source.put('x', CONTENT)
    held = source.files.pop('/x')
    url = f'{source.url}/{written}'
    parts = urlsplit(url)
    wire = parts.path + (f'?{parts.query}' if parts.query else '')
    source.files = Unquoted({unquote(wire): held})
    fetch(wanted(url), store, Terms())
    assert content_of(store, sha256(CONTENT)) == CONTENT
    assert all(path.isascii() and ' ' not in path for path, _ in source.asked)


@pytest.mark.parametrize(
    'url', ['http://h:x/y', 'http://[::1', 'http://a b/c', 'gopher://x/y', 'http:///x', 'nonsense', '']
)
def test_what_is_no_url_is_told(store: FilesStore, url: str) -> None:
    with pytest.raises(FetchError):
        fetch(wanted(url), store, Terms(timeout=1))


def test_nothing_with_another_sha256_is_ever_published(source: Source, store: FilesStore) -> None:
    what = wanted(source.put('vmlinuz', CONTENT[:-1] + b'?'))
    with pytest.raises(FetchError, match='but NetBox says'):
        fetch(what, store, Terms())
    assert store.names() == {}
    assert list(store.partials()) == []


def test_a_broken_off_download_is_resumed_where_it_broke_off(source: Source, store: FilesStore) -> None:
    what = wanted(source.put('vmlinuz', CONTENT, breaks_after=[1_500_000, 100]))
    for _ in range(2):
        with pytest.raises(FetchError, match='broke off'):
            fetch(what, store, Terms())
        assert store.names() == {}
    fetch(what, store, Terms())
    assert content_of(store, what.name) == CONTENT
    assert [headers.get('range') for _, headers in source.asked] == [None, 'bytes=1500000-', 'bytes=1500100-']
    assert source.asked[1][1]['if-range'] == source.files['/vmlinuz'].etag


def test_a_source_that_has_changed_meanwhile_is_fetched_from_the_start(source: Source, store: FilesStore) -> None:
    what = wanted(source.put('initrd', CONTENT, breaks_after=[700_000]), None)
    with pytest.raises(FetchError):
        fetch(what, store, Terms())
    other = CONTENT[::-1]
    source.put('initrd', other)
    fetch(what, store, Terms())
    assert content_of(store, what.name) == other


def test_a_part_that_does_not_belong_to_the_file_is_thrown_away(source: Source, store: FilesStore) -> None:
    what = wanted(source.put('vmlinuz', CONTENT))
    (store.partial / what.name).write_bytes(b'rubbish')
    fetch(what, store, Terms())
    assert content_of(store, what.name) == CONTENT
    (store.folder / what.name).unlink()
    (store.partial / what.name).write_bytes(b'x' * (len(CONTENT) + 5))
    fetch(what, store, Terms())
    assert content_of(store, what.name) == CONTENT


def test_a_source_without_ranges_begins_anew(source: Source, store: FilesStore) -> None:
    what = wanted(source.put('vmlinuz', CONTENT, ranges=False, breaks_after=[900_000]))
    with pytest.raises(FetchError):
        fetch(what, store, Terms())
    fetch(what, store, Terms())
    assert content_of(store, what.name) == CONTENT


def test_half_a_file_is_not_taken_for_a_whole_one_where_nobody_knows_how_long_it_is(
    source: Source, store: FilesStore
) -> None:
    url = source.put('initrd', CONTENT, length=False, breaks_after=[1000, 1000])
    with pytest.raises(FetchError, match='does not say how long it is'):
        fetch(wanted(url, None), store, Terms())
    with pytest.raises(FetchError, match='but NetBox says'):
        fetch(wanted(url), store, Terms())
    assert store.names() == {}


@pytest.mark.parametrize('status', [403, 404, 500, 503])
def test_an_error_of_the_source_is_told_with_its_url(source: Source, store: FilesStore, status: int) -> None:
    url = source.put('vmlinuz', CONTENT, status=status)
    with pytest.raises(FetchError, match=f'{url}: its server answers {status}'):
        fetch(wanted(url), store, Terms())


def test_a_source_that_is_not_there_or_says_nothing_is_told(source: Source, store: FilesStore) -> None:
    with pytest.raises(FetchError, match='refused'):
        fetch(wanted('http://127.0.0.1:1/x'), store, Terms())
    url = source.put('slow', CONTENT, hold=threading.Event())
    with pytest.raises(FetchError, match='timed out'):
        fetch(wanted(url), store, Terms(timeout=0.2))


def test_a_file_without_sha256_is_asked_for_anew_and_replaced_if_it_changed(source: Source, store: FilesStore) -> None:
    what = wanted(source.put('initrd', CONTENT), None)
    fetch(what, store, Terms())
    first = store.open(what.name)
    assert first is not None
    revalidate(what, store, Terms())
    assert source.asked[-1][1]['if-none-match'] == source.files['/initrd'].etag
    # The same content under another ETag leaves those alone who are reading it.
    source.put('initrd', CONTENT, etag='"other"')
    revalidate(what, store, Terms())
    same = store.open(what.name)
    assert same is not None
    assert same.etag == first.etag
    source.put('initrd', b'a new one')
    revalidate(what, store, Terms())
    new = store.open(what.name)
    assert new is not None
    assert new.etag != first.etag
    assert content_of(store, what.name) == b'a new one'
    assert first.stream.read() == CONTENT  # whoever reads the old one reads it to its end
    source.files.clear()
    with pytest.raises(FetchError):
        revalidate(what, store, Terms())
    assert content_of(store, what.name) == b'a new one'


def test_a_local_file_is_taken_only_from_a_folder_that_the_settings_name(store: FilesStore, tmp_path: Path) -> None:
    mirror = tmp_path / 'mirror'
    mirror.mkdir()
    (mirror / 'vm linuz').write_bytes(CONTENT)
    (tmp_path / 'secret').write_bytes(b'secret')
    (mirror / 'link').symlink_to(tmp_path / 'secret')
    terms = Terms(local_sources=[mirror])
    fetch(wanted(f'file://{mirror}/vm%20linuz'), store, terms)
    assert content_of(store, sha256(CONTENT)) == CONTENT
    for url in (
        f'file://{tmp_path}/secret',
        f'file://{mirror}/../secret',
        f'file://{mirror}/link',
        'file:///etc/passwd',
    ):
        with pytest.raises(FetchError, match='local_sources'):
            fetch(wanted(url, None), store, terms)
    with pytest.raises(FetchError, match='local_sources'):
        fetch(wanted(f'file://{mirror}/vm%20linuz', None), store, Terms())
    assert list(store.names()) == [sha256(CONTENT)]


def test_a_disk_that_would_become_too_full_takes_nothing(source: Source, store: FilesStore) -> None:
    what = wanted(source.put('disk.img', CONTENT))
    with pytest.raises(FetchError, match='no room for it'):
        fetch(what, store, Terms(keep_free=1 << 60))
    assert list(store.partials()) == []
    assert store.names() == {}


def test_a_full_disk_is_told_and_frees_what_was_half_there(
    source: Source, store: FilesStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real full file system: a small tmpfs, if we may mount one."""
    if os.geteuid():
        pytest.skip('mounting needs root')
    folder = store.folder.parent / 'small'
    folder.mkdir()
    if os.system(f'mount -t tmpfs -o size=1m tmpfs {folder}'):
        pytest.skip('no tmpfs can be mounted here')
    try:
        small = FilesStore(folder / 'files')
        what = wanted(source.put('disk.img', CONTENT, length=False))
        with pytest.raises(FetchError, match='No space left'):
            fetch(what, small, Terms(keep_free=1 << 19))
        assert small.names() == {}
        (folder / 'state.db').write_bytes(b'x' * 500_000)
    finally:
        os.system(f'umount {folder}')


def test_killed_in_the_middle_it_leaves_nothing_that_is_served(source: Source, store: FilesStore) -> None:
    what = wanted(source.put('vmlinuz', CONTENT, hold=threading.Event()))
    code = (
        'import sys; from pathlib import Path; from substruct_sidecar.boot.fetch import *\n'
        'fetch(Wanted(*sys.argv[1:4]), FilesStore(Path(sys.argv[4])), Terms())'
    )
    child = subprocess.Popen([sys.executable, '-c', code, what.name, what.url, what.sha256, str(store.folder)])
    until(lambda: (store.partial / what.name).exists() and (store.partial / what.name).stat().st_size > 0)
    child.kill()
    child.wait()
    assert store.names() == {}
    held = source.files['/vmlinuz'].hold
    assert held is not None
    held.set()
    fetch(what, store, Terms())
    assert content_of(store, what.name) == CONTENT
    assert source.asked[-1][1]['range'].startswith('bytes=')


# ---------------------------------------------------------------------- the store


@pytest.mark.parametrize(
    'name',
    [
        '', '.', '..', '../state.db', '.about', '.partial', '/etc/passwd', 'A' * 64, 'a' * 63, 'a' * 65,
        'a' * 64 + '\n', 'url-' + 'a' * 63, 'a' * 64 + '/..', '\0' + 'a' * 63, 'url-..', 'ａ' * 64,
    ],
)  # fmt: skip
def test_no_other_name_opens_anything(store: FilesStore, name: str) -> None:
    assert store.open(name) is None
    assert not store.has(name)


def test_links_and_folders_and_pipes_are_no_files(store: FilesStore, tmp_path: Path) -> None:
    (tmp_path / 'secret').write_bytes(b'secret')
    (store.folder / ('a' * 64)).symlink_to(tmp_path / 'secret')
    (store.folder / ('b' * 64)).mkdir()
    os.mkfifo(store.folder / ('c' * 64))
    for letter in 'abc':
        assert store.open(letter * 64) is None
    assert store.names() == {}


@pytest.mark.parametrize(
    'path', ['x86_64/../../secret', '../x86_64/vmlinuz', 'x86_64/other', '/vmlinuz', 'x86_64/vmlinuz\n']
)
def test_the_prospector_s_folder_is_as_closed(tmp_path: Path, path: str) -> None:
    folder = tmp_path / 'prospector' / 'x86_64'
    folder.mkdir(parents=True)
    (folder / 'vmlinuz').write_bytes(b'k')
    store = FilesStore(tmp_path / 'files', tmp_path / 'prospector')
    opened = store.open_prospector('x86_64/vmlinuz')
    assert opened is not None
    opened.stream.close()
    assert store.open_prospector(path) is None


# ---------------------------------------------------------------------- the service


@pytest.fixture
def files(tmp_path: Path) -> Files:
    config = tmp_path / 'sidecar.toml'
    config.write_text(
        f'[netbox]\nurl = "http://127.0.0.1:1"\nboot_server = "b"\n[paths]\nstate = "{tmp_path}"\n'
        f'run = "{tmp_path}"\n[boot]\nkeep_free = 0\nfetch_timeout = 5\nfetch_parallel = 1\n'
    )
    return Files(settings_module.load(config, environment={}))


def image(world: World, name: str, *urls: tuple[str, str | None], role: str = 'kernel') -> int:
    return world.add_boot_image(
        name, [BootFile(role=role, url=url, sha256=digest, path='') for url, digest in urls]  # type: ignore[arg-type]
    ).id  # fmt: skip


def test_the_plan_names_what_is_missing_and_applying_it_brings_it(
    files: Files, source: Source, world: World, tmp_path: Path
) -> None:
    image(
        world, 'Debian 12', (source.put('vmlinuz', b'kernel'), sha256(b'kernel')), (source.put('initrd', b'rd'), None)
    )
    with world.view() as view:
        plan = files.plan(view)
    assert plan.count('add') == 2
    assert plan.existing == 0
    files.apply(plan)
    assert files.settle(20)
    assert len(files.store.names()) == 2
    with world.view() as view:
        assert not files.plan(view)
        assert list(files.verify(view)) == []
    outbox = Outbox(tmp_path / 'outbox.db')
    told = [waiting.message for waiting in outbox.waiting()]
    outbox.close()
    assert [(one.type, one.data['state']) for one in told] == [('file', 'present')] * 2
    assert {one.data['sha256'] for one in told} == {sha256(b'kernel'), sha256(b'rd')}


def test_looking_makes_no_folders(files: Files, world: World) -> None:
    image(world, 'Debian 12', ('http://127.0.0.1:1/vmlinuz', sha256(b'kernel')))
    with world.view() as view:
        assert files.plan(view).count('add') == 1
        assert [problem.message for problem in files.verify(view)] == []
    assert [found.verdict for found in files.check()] == ['ok']
    assert not files.store.folder.exists()
    assert files.store.open('a' * 64) is None


def test_a_folder_that_cannot_be_made_is_told(files: Files, world: World) -> None:
    files.store.folder.write_text('a file stands there')
    assert [found.verdict for found in files.check()] == ['error']
    number = image(world, 'Debian 12', ('http://127.0.0.1:1/vmlinuz', sha256(b'kernel')))
    with world.view() as view:
        files.apply(files.plan(view))
        assert files.settle(20)
        (problem,) = files.verify(view)
    assert str(files.store.folder) in problem.message
    world.remove(world.objects['boot-image', number])
    with world.view() as view:
        assert list(files.verify(view)) == [], 'and it is tried no more'


def test_what_builds_need_comes_first_and_kernels_before_disks(files: Files, source: Source, world: World) -> None:
    hold = threading.Event()
    image(world, 'first', (source.put('first', b'0', hold=hold), sha256(b'0')))
    with world.view() as view:
        files.apply(files.plan(view))
    until(lambda: len(source.asked) == 1)
    image(world, 'disk', (source.put('disk', b'1'), sha256(b'1')), role='disk')
    image(world, 'other', (source.put('other', b'2'), sha256(b'2')))
    needed = image(world, 'needed', (source.put('needed', b'3'), sha256(b'3')), role='disk')
    srv = world.add_machine('srv-1', mac='02:00:00:00:00:01')
    with world.view() as view:
        files.apply(files.plan(view))
    world.change(srv, build=world.build(srv, boot_image=needed))
    with world.view() as view:
        assert not files.plan(view)  # all of it is on its way already
    hold.set()
    assert files.settle(20)
    assert [path for path, _ in source.asked] == ['/first', '/needed', '/other', '/disk']


def test_a_build_waits_for_no_download_that_is_only_kept_ready(files: Files, source: Source, world: World) -> None:
    """Disk images of other builds may take hours."""
    hold = threading.Event()
    for name in ('slow', 'later'):
        image(world, name, (source.put(name, name.encode(), hold=hold), sha256(name.encode())), role='disk')
    with world.view() as view:
        files.apply(files.plan(view))
    until(lambda: len(source.asked) == 1)  # and it is one at a time
    needed = image(world, 'needed', (source.put('needed', b'3'), sha256(b'3')), (source.put('more', b'4'), None))
    with world.view() as view:
        files.apply(files.plan(view))
    srv = world.add_machine('srv-1', mac='02:00:00:00:00:01')
    world.change(srv, build=world.build(srv, boot_image=needed))
    with world.view() as view:
        assert not files.plan(view)
    until(lambda: len(files.store.names()) == 2)
    assert len(source.asked) == 3, 'what nobody waits for is still one at a time'
    hold.set()
    assert files.settle(20)
    assert len(files.store.names()) == 4


def test_a_file_that_cannot_be_had_is_reported_with_its_boot_image_and_the_others_come(
    files: Files, source: Source, world: World, tmp_path: Path
) -> None:
    bad = image(world, 'gone', (f'{source.url}/gone', sha256(b'x')))
    image(world, 'there', (source.put('there', b'there'), sha256(b'there')))
    with world.view() as view:
        files.apply(files.plan(view))
        assert files.settle(20)
        (problem,) = files.verify(view)
    assert (problem.what, problem.id, problem.name) == ('boot-image', bad, 'gone')
    assert 'answers 404' in problem.message
    assert list(files.store.names()) == [sha256(b'there')]
    world.remove(world.objects['boot-image', bad])
    with world.view() as view:
        files.plan(view)
        assert list(files.verify(view)) == []


def test_what_nothing_refers_to_goes_after_a_while(files: Files, source: Source, world: World) -> None:
    number = image(world, 'old', (source.put('old', b'old'), sha256(b'old')))
    image(world, 'kept', (source.put('kept', b'kept'), sha256(b'kept')))
    with world.view() as view:
        files.apply(files.plan(view))
        assert files.settle(20)
    world.remove(world.objects['boot-image', number])
    with world.view() as view:
        assert not files.plan(view)
        list(files.verify(view))
        assert not files.plan(view)
        about = files.store.about(sha256(b'old'))
        assert about.unneeded > 0
        past = about.unneeded - 86401
        files.store.remember(sha256(b'old'), About(url=about.url, sha256=about.sha256, size=about.size, unneeded=past))
        plan = files.plan(view)
        assert [change.key for change in plan.changes] == [f'files/{sha256(b"old")}']
        guard(plan, Limits())
        files.apply(plan)
    assert list(files.store.names()) == [sha256(b'kept')]


def test_what_is_needed_again_in_time_stays(files: Files, source: Source, world: World) -> None:
    number = image(world, 'old', (source.put('old', b'old'), sha256(b'old')))
    with world.view() as view:
        files.apply(files.plan(view))
        assert files.settle(20)
    line = world.objects['boot-image', number]
    world.remove(line)
    with world.view() as view:
        list(files.verify(view))
    world.add(line)
    with world.view() as view:
        list(files.verify(view))
    assert files.store.about(sha256(b'old')).unneeded == 0


def test_a_file_that_was_cut_on_the_disk_is_fetched_again(files: Files, source: Source, world: World) -> None:
    image(world, 'Debian', (source.put('vmlinuz', CONTENT), sha256(CONTENT)))
    with world.view() as view:
        files.apply(files.plan(view))
        assert files.settle(20)
        os.truncate(files.store.folder / sha256(CONTENT), 1000)
        (problem,) = files.verify(view)
        assert 'had 1000 bytes' in problem.message
        files.apply(files.plan(view))
        assert files.settle(20)
    assert content_of(files.store, sha256(CONTENT)) == CONTENT


def test_sources_of_files_without_sha256_are_asked_again_after_a_while(
    files: Files, source: Source, world: World
) -> None:
    image(world, 'daily', (source.put('initrd', b'monday'), None))
    with world.view() as view:
        files.apply(files.plan(view))
        assert files.settle(20)
        (name,) = files.store.names()
        source.put('initrd', b'tuesday')
        list(files.verify(view))
        assert content_of(files.store, name) == b'monday'
        about = files.store.about(name)
        files.store.remember(
            name, About(url=about.url, etag=about.etag, sha256=about.sha256, size=about.size, checked=1.0)
        )
        list(files.verify(view))
        assert files.settle(20)
    assert content_of(files.store, name) == b'tuesday'


def test_two_images_with_one_kernel_are_one_file(files: Files, source: Source, world: World) -> None:
    url = source.put('vmlinuz', b'kernel')
    image(world, 'one', (url, sha256(b'kernel')))
    image(world, 'two', (f'{url}?mirror', sha256(b'kernel')))
    with world.view() as view:
        (need,) = needs_of(view).values()
        assert need.images == ('one', 'two')
        assert files.plan(view).count('add') == 1


def test_the_plugin_and_the_sidecar_agree_where_a_file_is() -> None:
    from netbox_substruct.context.naming import file_path

    for url, digest in (('http://x/ä?b=1#c', None), ('http://x/y', 'a' * 64), ('ftp://h/\ud7ff', None)):
        file = BootFile(role='disk', url=url, sha256=digest, path='')
        assert f'files/{name_of(file)}' == file_path(url, digest)
