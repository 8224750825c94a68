"""Each quoted value is read back by its format as exactly that value, or is refused."""

import json
import re
import shlex
import subprocess
from xml.etree import ElementTree

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from netbox_substruct.bundles import quoting
from netbox_substruct.bundles.quoting import QuotingError

NASTY = '\'"`$\\{}#;&|<>()[]*?!~%@=:, \t\n\r\0\x1b\x7f\x85\u2028\ufeff\u202eäöü😀'
texts = st.one_of(st.text(), st.text(alphabet=NASTY), st.from_regex(r'[a-z]*\$\{[a-z]*\}[a-z]*', fullmatch=True))


def nasty(test):
    for value in ('${net0/mac}', '$(reboot)', "a'b", 'a"b', 'a\nb', '|| reboot', '#x', '; reboot', 'x\\', '', ' '):
        test = example(value)(test)
    return given(texts)(test)


def quoted(function, value):
    try:
        return function(value)
    except QuotingError:
        return None


@nasty
def test_shell_reads_one_word_back(value):
    found = quoted(quoting.quote_shell, value)
    if found is not None:
        assert shlex.split(found) == [value]


def test_a_real_shell_agrees():
    for value in ("a'b", 'a\nb', '$(reboot) `x` ${y} "z" \\', NASTY.replace('\0', '')):
        ran = subprocess.run(['sh', '-c', f'printf %s {quoting.quote_shell(value)}'], capture_output=True, check=True)
        assert ran.stdout.decode() == value


@nasty
def test_ipxe_reads_one_word_and_expands_nothing(value):
    found = quoted(quoting.quote_ipxe, value)
    if found is not None:
        # src/core/exec.c: words are split at white space; a word that begins with # is a comment; three words end a
        # command; src/core/settings.c: ${…} is expanded.
        assert found == value
        assert found.split() == [value]
        assert not found.startswith('#')
        assert found not in ('||', '&&', ';')
        assert '${' not in found
        assert found.isprintable() or not re.search(r'[\x00-\x1f\x7f]', found)


@nasty
def test_text_for_ipxe_is_never_refused_and_never_a_statement(value):
    if re.search('[\ud800-\udfff]', value):
        return
    words = quoting.ipxe_text(value).split()
    assert words
    assert not any(word in ('||', '&&', ';') or word[0] in '#-' or '$' in word for word in words)


@nasty
def test_a_preseed_value_stays_on_its_line(value):
    found = quoted(quoting.quote_preseed, value)
    if found is not None:
        assert found == value
        assert len(found.splitlines()) <= 1
        assert not found.endswith('\\')


@nasty
def test_kickstart_reads_one_word_back(value):
    found = quoted(quoting.quote_kickstart, value)
    if found is not None:
        assert len(found.splitlines()) == 1
        assert shlex.split(found) == [value]


plain = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False, allow_infinity=False), texts
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=8,
)


@given(plain)
@example('\x7f\x85\u2028\ufeff😀')
@example({'a\nb': '# no comment', 'c': ['- d', ': e', '*f', '&g', '!h', '%i', '@j']})
@example('no')
@example([1e-05, 1e16, 1.5e300])
def test_yaml_reads_the_value_back(value):
    found = quoted(quoting.quote_yaml, value)
    if found is not None:
        assert '\n' not in found
        assert json.loads(found) == value
        assert yaml.safe_load(f'key: {found}\nother: 1') == {'key': value, 'other': 1}


@nasty
def test_grub_quotes_everything(value):
    found = quoted(quoting.quote_grub, value)
    if found is not None:
        assert len(found.splitlines()) == 1
        # Outside of single quotes there is nothing but an escaped single quote.
        assert re.fullmatch(r"(?:'[^']*'|\\')+", found)
        assert found[1:-1].replace("'\\''", "'") == value


@nasty
def test_the_kernel_reads_one_argument(value):
    found = quoted(quoting.quote_kernel, value)
    if found is not None:
        assert shlex.shlex(found, posix=False).instream.read() == found
        assert found.strip('"') == value
        assert ' ' not in found or (found[0], found[-1]) == ('"', '"')
        assert '${' not in found


@nasty
def test_xml_reads_the_text_back(value):
    found = quoted(quoting.quote_xml, value)
    if found is not None:
        element = ElementTree.fromstring(f'<a>{found}</a>')
        assert (element.text or '') == value
        assert len(element) == 0


@pytest.mark.parametrize('name', sorted(quoting.FORMATS))
def test_nothing_but_values_is_quoted(name):
    if name != 'yaml':
        for value in (None, [], {}, [1]):
            with pytest.raises(QuotingError):
                quoting.FORMATS[name](value)
        assert quoting.FORMATS[name](True).strip("'") == 'true'
        assert quoting.FORMATS[name](5).strip("'") == '5'
    with pytest.raises(QuotingError):
        quoting.FORMATS[name](object())


def test_a_refusal_says_what_and_why():
    with pytest.raises(QuotingError, match=r'"a\\nb" holds a line break, which a preseed file cannot hold'):
        quoting.quote_preseed('a\nb')
