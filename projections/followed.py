"""Every view that follows the log."""

from collections.abc import Mapping

from projections.keyed import Keyed
from projections.sessions import SESSIONS
from projections.usage import USAGE

FOLLOWED: Mapping[str, Keyed] = {view.name: view for view in (SESSIONS, USAGE)}
"""By name."""
