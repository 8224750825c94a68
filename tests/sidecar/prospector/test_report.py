"""What is told of a build: it arrives, whatever the boot server does meanwhile."""

import time

import pytest

from substruct_sidecar.boot import callbacks
from substruct_sidecar.prospector.inside import job, web
from substruct_sidecar.prospector.inside.report import Failed, Report

from .serving import Server


@pytest.fixture
def report(server: Server, monkeypatch: pytest.MonkeyPatch) -> Report:
    monkeypatch.setattr(web, 'delays', lambda: iter([0.0] * 50))
    return Report(f'{server.url}/build/t0k', lambda words: None)


def wait_for(server: Server, name: str, count: int) -> list[str]:
    deadline = time.monotonic() + 10.0
    while len(server.texts(name)) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    return server.texts(name)


def test_done_is_told_until_it_is_heard(server: Server, report: Report) -> None:
    server.errors = [503, 500, 503, 404]
    report.done('the log\n')
    assert server.posted == [('/build/t0k/done', b'the log\n')]


def test_what_nobody_knows_any_more_is_not_told_for_ever(server: Server, report: Report) -> None:
    server.errors = [404] * 100
    report.done('the log\n')
    report.failed('Too late.', '')
    assert len(server.errors) == 60
    assert server.posted == []


def test_that_there_is_no_progress_is_told_too_since_the_answer_says_whether_the_build_stands(
    server: Server, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    report.progress(10, 'fetched 1 MB', always=False)
    wait_for(server, 'progress', 1)
    report.progress(10, 'fetched 1 MB, still', always=False)
    monkeypatch.setattr('substruct_sidecar.prospector.inside.report.STILL', 0.0)
    report.progress(10, 'fetched 1 MB', always=False)
    assert wait_for(server, 'progress', 2) == ['10% fetched 1 MB'] * 2


def test_a_failure_begins_with_its_reason(server: Server, report: Report) -> None:
    report.failed('The disk is too small.', '[1.0] one\n[2.0] two\n')
    message = callbacks.ended(1, 'd' * 64, 'failed', server.texts('failed')[0], 0.0, '10.0.0.1')
    assert message.message == 'Reported failed from 10.0.0.1: The disk is too small.'
    assert '[2.0] two' in (message.log or '')


def test_progress_is_understood_by_the_boot_server(server: Server, report: Report) -> None:
    report.progress(40.4, 'fetched 40 of 100 MB')
    (text,) = wait_for(server, 'progress', 1)
    message = callbacks.progress(1, 'd' * 64, text, 0.0)
    assert (message.progress, message.message) == (40, '40% fetched 40 of 100 MB')


def test_progress_is_not_told_for_every_byte(server: Server, report: Report) -> None:
    for number in range(1001):
        report.progress(number / 10, f'{number}', always=False)
    assert wait_for(server, 'progress', 1)
    assert len(server.texts('progress')) <= 21


def test_an_artifact_that_is_not_there_is_none_and_one_that_is_late_is_waited_for(
    server: Server, report: Report
) -> None:
    server.files['/build/t0k/user-data'] = b'#cloud-config\n'
    server.errors = [503]
    assert report.artifact('user-data') == b'#cloud-config\n'
    assert report.artifact('vendor-data') is None


class TestScripts:
    def run(self, report: Report, script: str, shown: list[str] | None = None) -> str:
        return job.run(
            script.encode(), report, (shown if shown is not None else []).append, {'SUBSTRUCT_URL': 'http://b'}
        )

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(job, 'FOLDER', tmp_path_factory.mktemp('job'))
        monkeypatch.setattr(job, 'PAUSE', 0.05)

    def test_output_is_told_and_shown(self, server: Server, report: Report) -> None:
        shown: list[str] = []
        log = self.run(report, 'echo "hello from $SUBSTRUCT_URL"; echo again >&2', shown)
        assert log == 'hello from http://b\nagain\n'
        assert ''.join(server.texts('log')) == log
        assert shown == ['| hello from http://b', '| again']

    def test_a_script_that_fails_is_a_failure_with_its_last_words(self, server: Server, report: Report) -> None:
        with pytest.raises(Failed, match=r'exit status 3: no such disk\.'):
            self.run(report, 'echo "no such disk"; exit 3')
        assert server.texts('log') == ['no such disk\n']

    def test_a_script_in_another_language(self, server: Server, report: Report) -> None:
        assert self.run(report, '#!/usr/bin/env python3\nprint(1 + 1)\n') == '2\n'

    def test_a_script_in_a_language_that_is_not_there(self, report: Report) -> None:
        with pytest.raises(Failed, match='cannot be started'):
            self.run(report, '#!/no/such/program\n')

    def test_bytes_that_are_no_text_do_no_harm(self, server: Server, report: Report) -> None:
        self.run(report, "printf '\\377\\000x\\n'")
        assert 'x' in server.texts('log')[0]

    def test_what_it_leaves_running_does_not_keep_the_build(
        self, server: Server, report: Report, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(job, 'LEFT', 0.2)
        began = time.monotonic()
        assert self.run(report, 'sleep 20 & echo started') == 'started\n'
        assert time.monotonic() - began < 15.0

    def test_output_without_lines_comes_in_parts(self, server: Server, report: Report) -> None:
        shown: list[str] = []
        self.run(report, f'head -c {job.LONGEST * 3} /dev/zero | tr "\\0" x', shown)
        assert [len(line) for line in shown] == [job.LONGEST + 2] * 3

    def test_while_the_boot_server_is_away_only_the_end_is_kept(
        self, server: Server, report: Report, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(job, 'WAITING', 200)
        monkeypatch.setattr(job, 'PAUSE', 30.0)
        self.run(report, 'seq 1000')
        text = ''.join(server.texts('log'))
        assert text.startswith('(9')
        assert text.endswith('999\n1000\n')
        assert len(text) < 300
