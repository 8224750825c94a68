"""A template reaches plain data and nothing else, and ends in a clear error when it asks for too much."""

import pytest

from netbox_substruct.bundles import limits, render

from .samples import context, one, refused, rendered, template

ESCAPES = [
    "{{ ''.__class__ }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__class__'] }}",
    '{{ machine.__class__ }}',
    "{{ machine['__init__'] }}",
    '{{ machine.update({}) }}',
    '{{ machine.pop("name") }}',
    '{{ machine | attr("__class__") }}',
    '{{ machine | map("attr", "x") | list }}',
    "{{ [machine] | map(attribute='__class__') | first }}",
    "{{ [''] | map(attribute='__class__.__mro__') | first }}",
    "{{ [''] | groupby('__class__') | first }}",
    "{{ '{0.__class__}'.format(machine) }}",
    "{{ '{x.__class__}'.format_map({'x': machine}) }}",
    '{{ "%s" | format(range) }}',
    '{{ "%r" | format("x") }}',
    '{{ cycler.__init__.__globals__ }}',
    '{{ joiner.__init__.__globals__ }}',
    '{{ lipsum.__globals__ }}',
    '{{ namespace.__init__ }}',
    '{{ namespace(a=1).__class__ }}',
    '{{ namespace(a=1)._Namespace__attrs }}',
    '{{ range.__self__ }}',
    '{{ param.__globals__ }}',
    '{{ param.__closure__ }}',
    '{{ secret.__code__ }}',
    '{{ fail.__globals__ }}',
    '{{ dict.__base__ }}',
    '{{ {}.keys.__self__ }}',
    '{{ self }}',
    '{{ self._TemplateReference__context }}',
    '{{ self.__init__.__globals__ }}',
    '{{ caller }}',
    '{{ context }}',
    '{{ environment }}',
    '{{ config }}',
    '{{ request }}',
    '{{ get_flashed_messages.__globals__ }}',
    '{% macro m() %}{% endmacro %}{{ m.__init__ }}',
    '{% macro m() %}{% endmacro %}{{ m._environment }}',
    '{% macro m() %}{% endmacro %}{{ m._func.__globals__ }}',
    '{% macro m() %}{{ caller._func }}{% endmacro %}{% call m() %}{% endcall %}',
    '{% for x in [1] %}{{ loop.__class__ }}{% endfor %}',
    '{% for x in [1] %}{{ loop._iterable }}{% endfor %}',
    "{% for x in [1] %}{{ loop['__class__'] }}{% endfor %}",
    '{% block a %}{{ super.__func__ }}{% endblock %}',
    "{% import 'snippet' as s %}{{ s.__dict__ }}",
    "{% import 'snippet' as s %}{{ s._body_stream }}",
    "{% from 'snippet' import __class__ as c %}{{ c }}",
    '{{ undefined_name.__class__ }}',
    '{{ (machine | default).__class__ }}',
    '{{ 1 .__class__ }}',
    '{{ true.__class__ }}',
    '{{ none.__class__ }}',
    '{{ (1, 2).__class__ }}',
    '{{ machine.items().__class__ }}',
    '{{ machine.items().mapping }}',
    "{{ 'x'.join.__self__ }}",
    "{{ 'x'.encode() }}",
    "{{ 'x' is filter }}",
    '{{ machine is callable }}',
    '{{ [3, 1] | random }}',
    '{{ machine | pprint }}',
    '{{ machine | xmlattr }}',
    '{{ machine | safe }}',
    '{% autoescape true %}{{ machine.name }}{% endautoescape %}',
    '{% debug %}',
    '{% do machine.clear() %}',
]


@pytest.mark.parametrize('text', ESCAPES)
def test_no_way_out_of_the_plain_data(text):
    bundle = render(context(), [template(text, snippet='{% set a = 1 %}')])
    assert not bundle.artifacts
    (error,) = bundle.errors
    assert error.machine == 'web01'
    assert error.template == 'T'
    assert error.line == 1
    for word in ('object at 0x', '<function', '<class', 'module'):
        assert word not in error.message


@pytest.mark.parametrize('name', ['dcim', 'extras', 'users', 'core', 'Device', 'Webhook', 'Token', 'objects'])
def test_no_model_class_of_netbox_is_there(name):
    assert 'undefined' in refused('{{ ' + name + ' }}').message


@pytest.mark.parametrize(
    'text', ["{% include '/etc/passwd' %}", "{% include '../../../etc/passwd' %}", "{% import 'http://x/' as x %}",
             "{% extends 'other' %}", "{% include ['a', 'b'] %}", "{{ open('/etc/passwd') }}"]
)  # fmt: skip
def test_no_file_and_no_network(text):
    error = refused(text)
    assert error.line == 1
    assert 'no template' in error.message or 'undefined' in error.message


def test_templates_include_only_what_they_were_given():
    bundle = render(context(), [template("{% include 'part' %}", part='{{ machine.name }}!')])
    assert one(bundle) == 'web01!'
    assert refused("{% include 'part' %}").line == 1


def test_data_cannot_be_changed_by_a_template():
    given = context(parameters={'a': [1]})
    render(given, [template('{% set parameters = 1 %}{% set machine = {} %}')])
    assert given == context(parameters={'a': [1]})
    for text in ('{{ parameters.a.append(2) }}', '{% set parameters.a = 2 %}', '{{ parameters.setdefault("b", 1) }}'):
        refused(text, parameters={'a': [1]})


def test_a_mapping_gives_its_keys_also_those_named_like_methods():
    assert rendered("{{ parameters['items'] }}", parameters={'items': 5}) == '5'
    assert rendered('{% for k, v in parameters.items() %}{{ k }}={{ v }} {% endfor %}', parameters={'a': 1}) == 'a=1 '


# ---------------------------------------------------------------- what is too much

TOO_MUCH = [
    '{% for a in range(10000) %}{% for b in range(10000) %}{% endfor %}{% endfor %}',
    '{% for a in range(10000) if a < 0 %}{% endfor %}' * 60,
    '{% for a in [1, 2] recursive %}{% if loop.depth < 45 %}{{ loop([1, 2]) }}{% endif %}{% endfor %}',
    '{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}',
    '{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}',
    '{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(40) }}',
    "{% include 'T' %}",
    '{{ range(10 ** 9) | list }}',
    '{{ "a" * 10 ** 9 }}',
    '{{ 10 ** 9 * "a" }}',
    '{{ [1] * 10 ** 9 }}',
    '{{ 9 ** 9 ** 9 ** 9 ** 9 }}',
    '{% set n = namespace(a=7) %}{% for i in range(100) %}{% set n.a = n.a * n.a %}{% endfor %}',
    '{% set n = namespace(a="xx") %}{% for i in range(100) %}{% set n.a = n.a ~ n.a %}{% endfor %}',
    '{% set n = namespace(a="xx") %}{% for i in range(100) %}{% set n.a = n.a + n.a %}{% endfor %}',
    '{% set n = namespace(a=[1]) %}{% for i in range(100) %}{% set n.a = [n.a, n.a] %}{% endfor %}',
    '{% set n = namespace(a=[1]) %}{% for i in range(100) %}{% set n.a = n.a + n.a %}{% endfor %}',
    '{% set n = namespace(a={}) %}{% for i in range(100) %}{% set n.a = {1: n.a, 2: n.a} %}{% endfor %}',
    '{% set n = namespace(a={}) %}{% for i in range(100) %}{% set n.a = dict(b=n.a, c=n.a) %}{% endfor %}',
    '{{ "%999999999d" % 1 }}',
    '{{ "%.999999999f" % 1 }}',
    '{{ "%*d" % (999999999, 1) }}',
    '{{ "%99999999999999999999d" | format(1) }}',
    '{{ ("%(a)s" * 1000) % {"a": "x" * 100000} }}',
    '{{ "x" | center(10 ** 9) }}',
    '{{ "x".ljust(10 ** 9) }}',
    '{{ "x".zfill(10 ** 9) }}',
    '{{ "x" | indent(10 ** 9, true) }}',
    '{{ ("x" * 100000) | replace("x", "y" * 100000) }}',
    '{{ ("x" * 100000).replace("", "y" * 100000) }}',
    '{{ ("x" * 100000).join(("y" * 100000) | list) }}',
    '{{ ("y" * 10000) | list | join("x" * 10000) }}',
    '{{ [1] | batch(10 ** 9, "x") | list }}',
    '{{ 1.5 | round(10 ** 9) }}',
    '{% set x %}{% for i in range(10000) %}' + 'x' * 10000 + '{% endfor %}{% endset %}',
    '{% macro m() %}{% for i in range(10000) %}' + 'x' * 10000 + '{% endfor %}{% endmacro %}{{ m() }}',
    '{% filter upper %}{% for i in range(10000) %}' + 'x' * 10000 + '{% endfor %}{% endfilter %}',
    '{% for i in range(1000) %}' + 'x' * 10000 + '{% endfor %}',
    '{{ [[1] * 1000] * 1000 }}',
    '{{ "x" * 1000000 ~ "x" }}',
    '{{ ' + '(' * 5000 + ')' * 5000 + ' }}',
    '{{ ' + '-' * 5000 + '1 }}',
    '{{ ' + '[' * 300 + ']' * 300 + ' | tojson }}',
    'x' * (limits.SOURCE + 1),
    '{% if 1 %}' * 200 + '{% endif %}' * 200,
]


@pytest.mark.parametrize('text', TOO_MUCH, ids=lambda text: text[:60])
def test_what_asks_for_too_much_ends_in_an_error_and_soon(text):
    # Without the clock, so that what is counted has to end it: the clock is the last guard, not the first.
    error = refused(text, seconds=3600)
    assert (error.machine, error.template) == ('web01', 'T')
    assert len(error.message) < 500


def test_limits_count_so_the_same_template_always_ends_the_same_way():
    text = '{% for a in range(700) %}{% for b in range(1000) %}{{ a }}{% endfor %}{% endfor %}'
    assert {str(refused(text)) for _ in range(3)} == {str(refused(text))}


def test_the_clock_is_the_last_guard():
    text = '{% for a in range(300) %}{% for b in range(1000) %}{% endfor %}{% endfor %}'
    bundle = render(context(), [template(text)], seconds=0.01)
    assert 'seconds' in bundle.errors[0].message


def test_an_error_names_template_line_machine_and_reason():
    error = refused('\n\n{% if true %}\n  {{ parameters.disk }}\n{% endif %}\n')
    assert str(error) == "T, line 4, for web01: there is no 'disk' here"


def test_an_error_inside_a_snippet_names_the_snippet():
    bundle = render(context(), [template("\n{% include 'part' %}", part='\n\n{{ nothing }}')])
    (error,) = bundle.errors
    assert (error.template, error.line) == ('part', 3)


def test_a_mistake_in_the_syntax_is_an_error_with_its_line():
    error = refused('\n\n{% if %}\n')
    assert (error.template, error.line) == ('T', 3)


@pytest.mark.parametrize('text', ['{{ none }}', '{{ machine }}', '{{ interfaces }}', '{{ range }}', "{{ 'a' ~ none }}"])
def test_what_is_no_value_is_not_written(text):
    assert refused(text).line == 1


def test_one_failing_template_does_not_hide_the_others():
    bundle = render(context(), [template('{{ x }}', kind='preseed'), template('ok'), template('{{ y }}', kind='ipxe')])
    assert [artifact.content for artifact in bundle.artifacts] == ['ok']
    assert [error.kind for error in bundle.errors] == ['ipxe', 'preseed']


def test_a_template_can_refuse_with_its_own_words():
    assert refused("{% if not parameters %}\n{{ fail('no disk named') }}{% endif %}").message == 'no disk named'


def test_a_parameter_that_is_missing_is_named():
    assert "'network.mtu'" in refused("{{ param('network.mtu') }}").message
    assert rendered("{{ param('network.mtu', 1500) }}") == '1500'
    assert rendered("{{ param('network.mtu', 1500) }}", parameters={'network': {'mtu': 9000}}) == '9000'


def test_ordinary_templates_work():
    text = (
        "{% set names = interfaces | map(attribute='name') | list %}\n"
        "{{ names | join(',') }} {{ machine.name | upper }} {{ '%02d' % 7 }} {{ machine.position | int }}\n"
        "{% for group in interfaces | groupby('type') %}{{ group.grouper }}:{{ group.list | length }}{% endfor %}\n\n"
        "{{ (interfaces | selectattr('enabled') | first).mac }} {{ 'a b'.split() | last }} {{ true }} {{ [2, 1] | sort"
        " | first }}\n{% macro m(x) %}[{{ x }}{{ caller() if caller else '' }}]{% endmacro %}"
        "{% call m(1) %}!{% endcall %}\n\n{{ {'b': 1, 'a': [2]} | tojson }}{{ machine.serial[1:] }}"
        '{{ network.ip6 is none }}'
    )
    assert rendered(text).splitlines() == [
        'eno1 WEB01 07 12', '1000base-t:1', '52:54:00:12:34:56 b true 1', '[1!]', '{"b": 1, "a": [2]}123true'
    ]  # fmt: skip
