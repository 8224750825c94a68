"""Markers are made by templates alone; no data can forge one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netbox_substruct.bundles import markers, render

from .samples import context, one, refused, rendered, template


def test_what_is_known_only_later_stands_as_a_marker():
    assert rendered('{{ urls.base }}') == '@@substruct:base-url@@'
    assert rendered('{{ urls.done }}') == '@@substruct:base-url@@/build/@@substruct:token@@/done'
    assert rendered("{{ secret('web/root-hash') }}") == '@@substruct:secret:web/root-hash@@'
    assert rendered('{{ urls.artifact.script }}').endswith('@@substruct:token@@/script.sh')


def test_urls_name_only_what_the_bundle_has():
    assert 'preseed' in refused('{{ urls.artifact.preseed }}').message


def test_a_quoted_secret_is_quoted_where_its_value_is_known():
    assert rendered("{{ secret('a') | quote_shell }}") == '@@substruct:secret:a:shell@@'
    assert 'alone' in refused("{{ ('x' ~ secret('a')) | quote_shell }}").message
    assert 'twice' in refused("{{ secret('a') | quote_shell | quote_yaml }}").message
    assert rendered('{{ urls.done | quote_shell }}') == '@@substruct:base-url@@/build/@@substruct:token@@/done'


@pytest.mark.parametrize('name', ['', '../x y', 'a@@b', 'a:b', 'a\n', 'x' * 101, '/a', '.a'])
def test_impossible_names_of_secrets_are_refused(name):
    assert refused('{{ secret(parameters.name) }}', parameters={'name': name}).line == 1


def test_a_marker_in_the_data_is_refused():
    for marker in (markers.TOKEN, markers.secret('root'), '@@substruct:anything'):
        error = refused('\n{{ machine.name }}', machine__name=marker)
        assert 'line 2' in error.message
        assert error.machine == marker


def test_a_marker_typed_into_a_template_is_refused():
    assert 'secret()' in refused('@@substruct:token@@').message


@pytest.mark.parametrize('cut', range(1, len(markers.TOKEN)))
def test_no_marker_is_made_of_pieces_of_data(cut):
    error = refused('{{ machine.name }}{{ machine.serial }}', machine__name=markers.TOKEN[:cut],
                    machine__serial=markers.TOKEN[cut:])  # fmt: skip
    assert 'may make' in error.message


@given(st.text(alphabet='@substruct:token-baeurl', max_size=40), st.text(alphabet='@substruct:token-', max_size=40))
def test_no_data_beside_a_marker_makes_another(before, after):
    text = '{{ machine.serial }}{{ urls.base }}{{ machine.asset_tag }}'
    bundle = render(context(machine__serial=before, machine__asset_tag=after), [template(text)])
    if bundle.artifacts:
        assert markers.found(bundle.artifacts[0].content) == [markers.BASE_URL]


@pytest.mark.parametrize(
    'text', ['{{ urls.token }}', '{{ urls.base | upper }}', '{{ urls.base[5:] }}', '{{ urls.base | reverse }}',
             "{{ urls.base | replace('@', '') }}", '{{ urls.base[:-1] }}', "{{ urls.base | replace('base', 'x') }}"]
)  # fmt: skip
def test_a_marker_that_a_filter_changed_is_refused(text):
    refused(text)


def test_the_same_context_renders_to_the_same_bytes():
    text = "{{ urls.done }}{{ urls.base | length }}{{ secret('x') }}"
    assert one(render(context(), [template(text)])) == one(render(context(), [template(text)]))


def test_an_artifact_says_which_secrets_it_needs():
    content = rendered("{{ secret('a/b') }} {{ secret('c') | quote_yaml }} {{ secret('c') }}")
    assert markers.secrets_in(content) == ['a/b', 'c']
    assert markers.found(content) == [markers.secret('a/b'), markers.secret('c', 'yaml'), markers.secret('c')]
