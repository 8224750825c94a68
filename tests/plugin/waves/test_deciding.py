"""What a wave does next, for every wave that can be: canaries, limits, and that it always comes to an end."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from netbox_substruct.waves.deciding import Member, Plan, canaries, decide, outcome, waits
from netbox_substruct.waves.window import Window

NOW = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
STATES = ('waiting', 'building', 'done', 'failed', 'cancelled', 'left-out')

plans = st.builds(
    Plan,
    at_once=st.integers(1, 6),
    canaries=st.integers(0, 4),
    max_failures=st.integers(0, 4),
    window=st.just(Window()),
)
members = st.lists(
    st.tuples(st.sampled_from(STATES), st.booleans(), st.booleans()), max_size=20
).map(lambda found: [Member(id_, *each) for id_, each in enumerate(found)])  # fmt: skip


def some(*states):
    return [Member(id_, state) for id_, state in enumerate(states)]


@given(plans, members)
def test_only_machines_that_wait_are_begun_once_and_in_order_and_never_too_many(plan, members):
    begin = decide(plan, members, NOW).begin
    free = [member.id for member in members if member.state == 'waiting' and not member.blocked]
    building = sum(member.state == 'building' for member in members)
    assert [id_ for id_ in free if id_ in begin] == list(begin)
    assert not begin or len(begin) + building <= plan.at_once


@given(plans, members)
def test_nothing_but_canaries_is_begun_before_every_canary_is_done(plan, members):
    first = canaries(plan, members)
    begin = set(decide(plan, members, NOW).begin)
    if begin - first:
        assert all(member.state == 'done' for member in members if member.id in first)


@given(plans, members)
def test_nothing_is_begun_when_too_many_or_a_canary_has_failed(plan, members):
    decision = decide(plan, members, NOW)
    failed = [member for member in members if member.state == 'failed' and not member.excused]
    canary_failed = any(member.id in canaries(plan, members) for member in failed)
    if len(failed) > plan.max_failures or canary_failed:
        assert (decision.begin, decision.state) == ((), 'stopped') and decision.why


@given(plans, members)
def test_it_acts_or_says_why_not_and_an_end_begins_nothing(plan, members):
    decision = decide(plan, members, NOW)
    assert decision.begin or decision.why or decision.state == 'complete'
    assert not (decision.begin and decision.state)
    if decision.state == 'complete':
        assert not any(member.state in ('waiting', 'building') for member in members)


@settings(deadline=None)
@given(plans, st.lists(st.sampled_from(('done', 'failed', 'cancelled')), max_size=25), st.randoms())
def test_whatever_becomes_of_its_builds_a_wave_ends_and_fails_no_more_than_it_must(plan, outcomes, random):
    members = [Member(id_, 'waiting') for id_ in range(len(outcomes))]
    for _ in range(10 * len(outcomes) + 10):
        decision = decide(plan, members, NOW)
        if decision.state:
            break
        for id_ in decision.begin:
            members[id_] = Member(id_, 'building')
        building = [member.id for member in members if member.state == 'building']
        assert 0 < len(building) <= plan.at_once, decision.why
        ended = random.choice(building)
        members[ended] = Member(ended, outcomes[ended])
    assert decision.state in ('complete', 'stopped')
    failed = sum(member.state == 'failed' for member in members)
    assert failed <= plan.max_failures + 1
    if not set(outcomes) - {'done'}:
        assert decision.state == 'complete' and all(member.state == 'done' for member in members)


def test_the_canaries_go_first_and_the_others_wait_for_them():
    plan = Plan(at_once=5, canaries=2)
    assert decide(plan, some(*['waiting'] * 5), NOW).begin == (0, 1)
    waiting = decide(plan, some('done', 'building', 'waiting', 'waiting', 'waiting'), NOW)
    assert waiting.begin == () and 'canaries' in waiting.why
    assert decide(plan, some('done', 'done', 'waiting', 'waiting', 'waiting'), NOW).begin == (2, 3, 4)


def test_who_is_left_out_is_no_canary_and_who_is_excused_counts_no_more():
    plan = Plan(at_once=5, canaries=1)
    assert canaries(plan, some('left-out', 'waiting', 'waiting')) == {1}
    excused = [Member(0, 'failed', excused=True), *some('x', 'waiting', 'waiting')[1:]]
    assert decide(plan, excused, NOW).begin == (1,)


def test_a_cancelled_canary_proves_nothing_and_any_other_may_be_cancelled():
    plan = Plan(at_once=1, canaries=1)
    assert decide(plan, some('cancelled', 'waiting'), NOW).state == 'stopped'
    assert decide(plan, some('done', 'cancelled', 'waiting'), NOW).begin == (2,)


def test_a_machine_that_is_being_built_otherwise_is_waited_for_and_the_others_go_on():
    plan = Plan(at_once=2)
    members = [Member(0, 'waiting', blocked=True), Member(1, 'waiting')]
    assert decide(plan, members, NOW).begin == (1,)
    assert 'otherwise' in decide(plan, members[:1], NOW).why


def test_it_waits_for_its_window_says_when_it_opens_and_stops_when_it_has_closed_for_good():
    window = Window(not_before=NOW + timedelta(hours=2), not_after=NOW + timedelta(hours=4))
    plan = Plan(at_once=2, window=window)
    early = decide(plan, some('waiting', 'building'), NOW)
    assert (early.begin, early.state) == ((), None) and '2026-03-14 14:00 UTC' in early.why
    assert decide(plan, some('waiting', 'building'), NOW + timedelta(hours=3)).begin == (0,)
    late = decide(plan, some('waiting', 'waiting', 'done'), NOW + timedelta(hours=5))
    assert late.state == 'stopped' and 'closed for good' in late.why
    # What is under way may end outside of it.
    assert decide(plan, some('building', 'done'), NOW + timedelta(hours=5)).state is None


def test_what_became_of_machines_is_said_in_a_line():
    assert outcome({'done': 2, 'failed': 0, 'left-out': 1}) == '2 built, 1 left out'


@given(plans, members)
def test_every_member_that_waits_in_a_wave_that_goes_on_has_its_own_reason(plan, members):
    decision, reasons = decide(plan, members, NOW), waits(plan, members, NOW)
    waiting = {member.id for member in members if member.state == 'waiting'}
    assert set(reasons) == (set() if decision.state else waiting)
    assert {id_ for id_, why in reasons.items() if why == 'It comes next.'} == set(decision.begin)


def test_each_member_says_what_it_waits_for_itself():
    plan = Plan(at_once=1, canaries=1)
    early = waits(plan, some('building', 'waiting'), NOW)
    assert early == {1: 'It waits until the canaries are complete.'}
    later = waits(plan, [*some('done', 'waiting', 'waiting'), Member(3, 'waiting', blocked=True)], NOW)
    assert later[1] == 'It comes next.' and '1 machine is built at a time' in later[2] and 'otherwise' in later[3]
    closed = Plan(at_once=1, window=Window(not_before=NOW + timedelta(hours=2)))
    assert waits(closed, some('waiting'), NOW) == {0: 'The window opens 2026-03-14 14:00 UTC.'}


@given(plans, members)
def test_why_a_wave_waits_or_ends_counts_no_machines(plan, members):
    numbers = {word.strip('.,:') for word in decide(plan, members, NOW).why.split()} & set(map(str, range(21)))
    assert numbers <= {str(plan.at_once), str(plan.max_failures)}
