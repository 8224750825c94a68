"""Secrets are quoted where they are filled in exactly as the plugin quotes values; markers are filled whole or not at
all."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from substruct_sidecar.boot import markers, quoting
from substruct_sidecar.secrets import SecretError

BUNDLES = Path(__file__).parents[3] / 'netbox_substruct' / 'bundles'


def module_of_the_plugin(name: str) -> Any:
    """One file of the plugin, without the package around it, which would want Django."""
    spec = importlib.util.spec_from_file_location(f'the_plugin_s_{name}', BUNDLES / f'{name}.py')
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


plugin = module_of_the_plugin('quoting')
plugin_markers = module_of_the_plugin('markers')

NASTY = '\'"`$\\{}#;&|<>()[]*?!~%@=:, \t\n\r\0\x1b\x7f\x85\u2028\ufeff\ufffe\u202eäöü😀\ud800'
texts = st.one_of(
    st.text(),
    st.text(st.characters(categories=['Cs', 'Cc', 'Zs', 'Po', 'Sc', 'Ll'])),
    st.text(alphabet=NASTY),
    st.from_regex(r'[a-z]*\$\{[a-z]*\}[a-z]*', fullmatch=True),
    st.sampled_from(['', ' ', '||', '&&', ';', '#x', '-x', 'x\\', 'a  b', 'a #b', '$', '"', "a'b", 'a\nb']),
)


def tried(function, value):
    try:
        return function(value)
    except ValueError as error:
        assert isinstance(error, plugin.QuotingError | quoting.QuotingError)
        return None


def test_both_know_the_same_formats():
    assert set(quoting.FORMATS) - {''} == set(plugin.FORMATS)


@pytest.mark.parametrize('wanted', sorted(plugin.FORMATS))
@given(value=texts)
def test_both_quote_alike(wanted, value):
    assert tried(quoting.FORMATS[wanted], value) == tried(plugin.FORMATS[wanted], value)


@given(value=texts)
def test_both_show_text_in_ipxe_alike(value):
    if tried(plugin.text, value) is not None:
        assert quoting.ipxe_text(value) == plugin.ipxe_text(value)
    assert '\n' not in quoting.ipxe_text(value)


@given(value=texts)
def test_a_refusal_never_tells_the_secret(value):
    for wanted, function in quoting.FORMATS.items():
        try:
            function(value)
        except quoting.QuotingError as error:
            assert len(value) < 4 or value not in str(error), wanted


@given(value=texts.filter(lambda text: any(ord(character) < 32 or ord(character) == 127 for character in text)))
def test_a_secret_with_control_characters_does_not_stand_unquoted(value):
    with pytest.raises(quoting.QuotingError):
        quoting.FORMATS[''](value)


def test_the_markers_that_the_plugin_makes_are_filled():
    content = f'{plugin_markers.BASE_URL}/build/{plugin_markers.TOKEN} {plugin_markers.secret("web/root", "shell")}'
    filled = markers.fill(content, 'http://10.0.0.2:8080/', 'tok-en_', {'web/root': "it's"}.__getitem__)
    assert filled == "http://10.0.0.2:8080/build/tok-en_ 'it'\"'\"'s'"
    assert markers.needs(content) == ['web/root']


@pytest.mark.parametrize('wanted', sorted(quoting.FORMATS))
def test_every_format_is_filled_by_its_function(wanted):
    content = plugin_markers.secret('a', wanted)
    assert markers.fill(content, 'http://h', '', lambda name: 'x y' if wanted != 'ipxe' else 'xy') == (
        quoting.FORMATS[wanted]('x y' if wanted != 'ipxe' else 'xy')
    )


def test_no_value_is_searched_for_markers():
    secret = '@@substruct:token@@'
    assert markers.fill('a @@substruct:secret:x@@ b', 'http://h', 'token', lambda name: secret) == f'a {secret} b'


@pytest.mark.parametrize(
    'content',
    [
        '@@substruct:unheard-of@@', '@@substruct:secret:@@', '@@substruct:secret:a', '@@substruct:secret:a:nonsense@@',
        '@@substruct:token@', '@@substruct:secret:a/../b :shell@@', '@@substruct:base-url@@ @@substruct:x',
    ],
)  # fmt: skip
def test_what_is_no_marker_is_refused_as_a_whole(content):
    with pytest.raises(markers.MarkerError):
        markers.fill(content, 'http://h', 'token', lambda name: 'value')


@pytest.mark.parametrize(
    'url',
    ['', 'http://', 'ftp://h', 'http://h\nreboot', 'http://h/${x}', "http://h/'", 'http://u:p@h', 'http://h x', '//h'],
)
def test_a_base_url_that_is_none_is_filled_in_nowhere(url):
    with pytest.raises(markers.MarkerError, match='base URL'):
        markers.fill('@@substruct:base-url@@', url)


def test_a_missing_secret_is_named_and_nothing_is_half_filled():
    def secret(name: str) -> str:
        raise SecretError(f'There is no secret "{name}".')

    with pytest.raises(markers.MarkerError, match='There is no secret "luks"'):
        markers.fill('@@substruct:base-url@@ @@substruct:secret:luks:shell@@', 'http://h', 't', secret)


@given(value=texts, content=st.text(alphabet='@:substrcekn-a/ \n'))
def test_whatever_stands_in_an_artifact_it_is_filled_or_refused(value, content):
    try:
        filled = markers.fill(content, 'http://h', 'token', lambda name: value)
    except markers.MarkerError:
        return
    assert content == filled or markers.PREFIX in content
