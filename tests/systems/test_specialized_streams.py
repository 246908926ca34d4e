"""Specialized streams: the checks of every system, and its own laws."""

from tests.systems.system_tester import SystemTester, cohort_table, phantom, pictures

__all__ = ["cohort_table", "phantom", "pictures"]


class TestSpecializedStreams(SystemTester):
    name = "specialized_streams"
    parameters_m = 6.41
