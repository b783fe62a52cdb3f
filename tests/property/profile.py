"""How much is tried: little and the same in every run by default; with HYPOTHESIS_PROFILE=thorough much, and new each time.

A thorough run takes longer than a test may: give it `--timeout=0`.
"""

import os

from hypothesis import HealthCheck, Phase, settings

_QUICK = settings(
    max_examples=60,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # making a failure smaller takes minutes: the thorough profile does
    suppress_health_check=[HealthCheck.too_slow],
)
_THOROUGH = settings(max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow])

PROFILE = _THOROUGH if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else _QUICK
