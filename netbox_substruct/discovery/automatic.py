"""Adoption by a discovery rule, without anybody: when the facts of a discovered machine arrive.

What stands in the way is written down with the machine, and never costs the facts.
"""

import logging
from typing import Any

from django.db import OperationalError, transaction
from django.utils.translation import gettext as _

from ..choices import MachineStateChoices as State
from ..lifecycle.errors import LifecycleError
from . import adoption, rules
from .facts import plain
from .keeping import current
from .matching import candidates
from .taking import note

logger = logging.getLogger('netbox.substruct.discovery')


class Unsure(LifecycleError):
    """A rule would take the machine, and a person must decide."""

    code = 'unsure'


def adopt_by_rule(machine_id: int, user: Any = None) -> bool:
    """Adopt, and build, a discovered machine where a rule says so; whether it was adopted.  Never raises.

    `user` is who delivered the facts, for the changelog; what is done is the rule's, so no permissions are asked.
    """
    for last in (False, True):
        try:
            return _adopt(machine_id, user)
        except OperationalError as error:
            if last:
                problem = str(error)
        except Exception as error:  # whatever goes wrong here, the facts are kept, and somebody reads why
            problem = str(error)
            if not isinstance(error, LifecycleError | rules.RuleError):
                logger.exception('Machine %s cannot be adopted by a rule', machine_id)
                problem = f'{type(error).__name__}: {error}'
            break
    try:
        note([machine_id], _('No rule could adopt it. {why}').format(why=problem))
    except OperationalError:
        logger.exception('Machine %s cannot be adopted by a rule: %s', machine_id, problem)
    return False


def _adopt(machine_id: int, user: Any) -> bool:
    from ..lifecycle import builds, events
    from ..models import DiscoveryRule, Machine

    machine = Machine.objects.filter(pk=machine_id, state=State.STATE_DISCOVERED).first()
    if machine is None:
        return False
    facts = current(machine)[1].facts
    rule = rules.rule_for(plain(facts))
    if rule is None or not (rule.adopt_at_once or rule.build_at_once):
        return False
    with events.alone(user):
        # Two machines at once do not both become the last that the rule may take, and a rule that somebody has just
        # switched off takes none.
        locked = DiscoveryRule.objects.select_for_update(of=('self',)).filter(pk=rule.pk, enabled=True).first()
        if locked is None or not (locked.adopt_at_once or locked.build_at_once) or rules.rests(locked):
            return False
        if candidates(machine, facts):
            # Without their names: not everybody who reads this may view them, and the page shows them to who may.
            raise Unsure(
                _('The discovery rule {rule} applies, but the machine may be one that NetBox has already. Adopt it by '
                  'hand: its page shows what it may be.').format(rule=locked)
            )  # fmt: skip
        choices, _notes = adoption.defaults(machine, locked)
        if locked.host_name_template:
            rules.host_name(locked, plain(facts))  # raises, where a default would do for a person
        proposal = adoption.propose(machine, choices)
        outcome = adoption.carry_out(machine, choices, proposal.digest, rule=locked)
    if locked.build_at_once:
        try:
            with events.alone(user), transaction.atomic():
                builds.request(
                    outcome.machine, user=user, description=_('By the discovery rule {rule}').format(rule=rule)
                )
        except LifecycleError as error:
            words = _('The discovery rule {rule} adopted it, but it could not be built. {why}')
            note([outcome.machine.pk], words.format(rule=rule, why=error))
    return True
