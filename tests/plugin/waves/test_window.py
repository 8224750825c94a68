"""When builds may be begun: moments, hours of days, hours past midnight, changed clocks, the time that is needed."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from netbox_substruct.waves.window import WEEKDAYS, Window

BERLIN = ZoneInfo('Europe/Berlin')
# A Saturday.
NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)

hours = st.times().map(lambda found: found.replace(second=0, microsecond=0))
windows = st.builds(
    Window,
    not_before=st.none() | st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 1), timezones=st.just(UTC)),
    not_after=st.none() | st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 1), timezones=st.just(UTC)),
    daily_from=hours,
    daily_until=hours,
    days=st.frozensets(st.sampled_from(WEEKDAYS)),
    zone=st.sampled_from([UTC, BERLIN, ZoneInfo('America/St_Johns'), ZoneInfo('Pacific/Apia')]),
    reserve=st.integers(0, 600).map(lambda minutes: timedelta(minutes=minutes)),
)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))


def at(day, hour, minute=0, zone=UTC):
    return datetime(2026, 3, day, hour, minute, tzinfo=zone)


def test_without_limits_it_is_always_open():
    assert not Window().limited and Window().is_open(NOON)


def test_hours_past_midnight_belong_to_the_day_on_which_they_begin():
    window = Window(daily_from=time(22), daily_until=time(5), days=frozenset({'sat'}), zone=BERLIN)
    assert not window.is_open(at(14, 21, 59, BERLIN))
    assert window.is_open(at(14, 22, 0, BERLIN)) and window.is_open(at(15, 4, 59, BERLIN))
    assert not window.is_open(at(15, 5, 0, BERLIN)) and not window.is_open(at(15, 22, 30, BERLIN))
    assert window.span(at(15, 6, 0, BERLIN)).opens == at(21, 22, 0, BERLIN)


def test_no_build_is_begun_when_there_is_less_time_than_it_takes():
    window = Window(daily_from=time(22), daily_until=time(5), zone=BERLIN, reserve=timedelta(minutes=30))
    assert window.is_open(at(15, 4, 29, BERLIN)) and not window.is_open(at(15, 4, 30, BERLIN))
    last = Window(not_after=NOON, reserve=timedelta(hours=1))
    assert last.is_open(NOON - timedelta(minutes=61)) and not last.is_open(NOON - timedelta(minutes=60))


def test_whole_days_that_follow_each_other_are_one_window():
    window = Window(days=frozenset({'sat', 'sun'}), reserve=timedelta(hours=1))
    assert window.is_open(at(14, 23, 30)) and window.is_open(at(15, 0, 0))
    assert window.is_open(at(15, 22, 59)) and not window.is_open(at(15, 23, 0))


def test_hours_are_those_of_the_wall_clock_also_when_clocks_are_put_forward():
    window = Window(daily_from=time(1), daily_until=time(4), zone=BERLIN)
    # In the night to 29 March 2026 the hour from 2 to 3 is missing.
    span = window.span(at(29, 0, 30, UTC))
    assert span.closes - span.opens == timedelta(hours=2)


def test_it_says_what_cannot_be_meant_and_at_which_field():
    wrong = {
        'daily_until': Window(daily_from=time(1)),
        'daily_from': Window(daily_until=time(1)),
        'not_after': Window(not_before=NOON, not_after=NOON),
        'days': Window(days=frozenset({'someday'})),
        'reserve': Window(daily_from=time(1), daily_until=time(2), reserve=timedelta(hours=1)),
    }
    assert {field: window.wrong().field for field, window in wrong.items()} == {field: field for field in wrong}
    assert Window(daily_from=time(1), daily_until=time(1)).wrong().field == 'daily_until'
    too_short = Window(not_before=NOON, not_after=NOON + timedelta(minutes=20), reserve=timedelta(minutes=30))
    assert too_short.wrong().field == 'reserve'
    assert Window(daily_from=time(22), daily_until=time(5), reserve=timedelta(hours=6)).wrong() is None


@given(windows, moments)
def test_a_window_is_open_only_inside_all_its_limits(window, moment):
    if window.wrong() is not None or not window.is_open(moment):
        return
    assert window.not_before is None or window.not_before <= moment
    assert window.not_after is None or moment + window.reserve <= window.not_after
    local = moment.astimezone(window.zone)
    if len({(local + timedelta(days=days)).utcoffset() for days in (-1, 0, 1)}) > 1:
        return  # clocks are changed: hours are there twice, or not at all
    clock, begin, end = local.time(), window.daily_from, window.daily_until
    if begin < end:
        assert begin <= clock < end
        day = local
    else:
        assert clock >= begin or clock < end
        day = local if clock >= begin else local - timedelta(days=1)
    # Where a window is a whole day long, or nearly, the day before may reach into this one.
    assert not window.days or WEEKDAYS[day.weekday()] in window.days


@given(windows, moments)
def test_the_next_opening_lies_ahead_and_is_open_then(window, moment):
    span = window.span(moment) if window.wrong() is None else None
    if span is not None:
        assert moment < span.closes
        assert window.is_open(max(moment, span.opens))
