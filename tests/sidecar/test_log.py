"""What is logged can be read by machines and people, forges no second line, and holds no secret."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import sys, structlog
from substruct_sidecar import log
from substruct_sidecar.settings import Log
log.configure(Log(format=sys.argv[1]), 'agent')
found = structlog.get_logger('test')
def fails(token):
    raise ValueError('it broke')
{body}
"""


def said(body, format_):
    done = subprocess.run(
        [sys.executable, '-c', PROGRAM.format(body=body), format_], capture_output=True, text=True, check=True
    )
    assert done.stdout == ''
    return done.stderr


def test_a_line_of_json_has_its_process_and_its_machine():
    line = json.loads(said("found.info('script', machine='srv-1')", 'json'))
    assert (line['process'], line['machine'], line['event'], line['level']) == ('agent', 'srv-1', 'script', 'info')


@pytest.mark.parametrize('format_', ['json', 'text'])
def test_a_name_makes_no_second_line_and_turns_no_text_around(format_):
    text = said(r"found.info('script', machine='srv\n2026 forged \u202e\x1b[31m')", format_)
    assert len(text.splitlines()) == 1
    assert '\u202e' not in text and '\x1b[31m' not in text


@pytest.mark.parametrize('format_', ['json', 'text'])
def test_a_build_token_is_left_out_of_addresses(format_):
    text = said("found.info('get', path='http://b/build/s3cr3t-token/done')", format_)
    assert 's3cr3t' not in text
    assert '/build/…/done' in text or r'/build/\u2026/done' in text


@pytest.mark.parametrize('format_', ['json', 'text'])
def test_an_error_shows_where_it_was_and_no_variable(format_):
    body = "try:\n    fails('s3cr3t')\nexcept ValueError:\n    found.exception('failed')"
    text = said(body, format_)
    assert 'it broke' in text
    assert 's3cr3t' not in text.replace("fails('s3cr3t')", '')


def test_a_line_that_cannot_be_written_is_no_error_of_what_it_is_about():
    """The disk with the log is full; what is said in the handler of an error must not end its thread."""
    program = PROGRAM.format(
        body="found.error('failed')\ntry:\n    fails(1)\nexcept ValueError:\n    found.exception('failed')"
    )
    for format_ in ('json', 'text'):
        with open('/dev/full', 'w') as full:
            done = subprocess.run(
                [sys.executable, '-c', program + "\nprint('goes on', flush=True)", format_], stderr=full,
                stdout=subprocess.PIPE, text=True, check=False,
            )  # fmt: skip
        assert done.stdout == 'goes on\n'
