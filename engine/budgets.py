"""Budgets: whether somebody may have Claude begin something today. Pure; what they have used comes in with the `Context`."""

from engine.commands import Context
from engine.session import DAY, Session
from schema import events as e

NEAR = 80
"""Per cent of a budget of which people are told."""


def over(context: Context) -> bool:
    """Whether they have used all that they may use in a day."""
    budget = context.policy.budget(context.role)
    return 0 < budget <= context.spent


def told(context: Context) -> str:
    """Their budget, in dollars, for people."""
    return f"{context.policy.budget(context.role) / 1_000_000:.2f}"


def nears(session: Session, context: Context) -> list[e.SessionEvent]:
    """What is said when they have used most of it: once a day in each session."""
    budget = context.policy.budget(context.role)
    if not budget or context.spent * 100 < budget * NEAR or session.warned.get(context.by) == context.at // DAY:
        return []
    return [e.BudgetNeared(by=context.by, spent=context.spent, budget=budget)]
