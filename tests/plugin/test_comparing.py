"""What differs between two builds, as values."""

from netbox_substruct.comparing import AROUND, MOST_LINES, MOST_SHOWN, Artifact, artifacts, unified, values


def artifact(kind, content):
    return Artifact(kind, f'{kind}.cfg', content, sha256=str(hash(content)))


def test_artifacts_are_new_gone_changed_or_the_same():
    before = [artifact('preseed', 'a\nb\n'), artifact('finish', 'x\n'), artifact('ipxe', 'boot\n')]
    after = [artifact('ipxe', 'boot\n'), artifact('preseed', 'a\nc\n'), artifact('user-data', 'y\n')]
    found = {change.kind: change for change in artifacts(before, after)}
    assert {kind: change.word for kind, change in found.items()} == {
        'finish': 'removed', 'ipxe': 'same', 'preseed': 'changed', 'user-data': 'added'
    }  # fmt: skip
    assert found['preseed'].lines == ('@@ -1,2 +1,2 @@', ' a', '-b', '+c')
    assert found['finish'].lines[1:] == ('-x',)
    assert found['user-data'].lines[1:] == ('+y',)
    assert found['ipxe'].lines == ()


def test_only_the_lines_around_a_change_are_given():
    lines = [str(number) for number in range(100)]
    found, cut = unified('\n'.join(lines), '\n'.join([*lines[:50], 'new', *lines[50:]]))
    assert len(found) == 1 + AROUND + 1 + AROUND
    assert not cut


def test_a_line_break_that_is_gone_at_the_end_is_a_difference():
    assert unified('a\n', 'a')[0] == ('\\ No newline at end of file',)
    assert unified('a\n', 'a\n') == ((), False)


def test_characters_that_only_look_like_line_breaks_break_no_line():
    assert unified('a\x0cb\n', 'a\x0cc\n')[0][1:] == ('-a\x0cb', '+a\x0cc')


def test_what_is_too_long_is_not_compared_and_a_long_difference_is_cut():
    assert unified('a\n' * MOST_LINES, 'b\n') == ((), True)
    found, cut = unified('a\n', 'b\n' * (MOST_SHOWN + 5))
    assert (len(found), cut) == (MOST_SHOWN, True)


def test_values_have_the_path_that_templates_see_them_by():
    before = {
        'machine': {'name': 'a-1', 'serial': 'X'},
        'interfaces': [{'name': 'eno1', 'mac': '02:00:00:00:00:01'}],
        'parameters': {'disk': {'scheme': 'lvm'}, 'packages': ['vim']},
        'build': {'id': 1},
    }
    after = {
        'machine': {'name': 'a-1'},
        'interfaces': [{'name': 'eno1', 'mac': '02:00:00:00:00:02'}],
        'parameters': {'disk': {'scheme': 'plain'}, 'packages': ['vim', 'curl'], 'owner': None},
        'build': {'id': 2},
    }
    assert [(change.path, change.word, change.before, change.after) for change in values(before, after)] == [
        ('machine.serial', 'removed', 'X', None),
        ('interfaces[0].mac', 'changed', '02:00:00:00:00:01', '02:00:00:00:00:02'),
        ('parameters.disk.scheme', 'changed', 'lvm', 'plain'),
        ('parameters.packages', 'changed', ['vim'], ['vim', 'curl']),
        ('parameters.owner', 'added', None, None),
    ]


def test_true_is_not_one():
    assert [change.path for change in values({'a': True, 'b': 1}, {'a': 1, 'b': 1})] == ['a']
