"""How hypothesis draws: the same few examples on every run, many new ones when asked.

``pytest --hypothesis-profile=thorough`` takes its time.
"""

import os

from hypothesis import settings

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line sets it

settings.register_profile("quick", max_examples=25, derandomize=True, deadline=None)
settings.register_profile("thorough", max_examples=500, deadline=None)
settings.load_profile("quick")
