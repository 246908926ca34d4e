"""The spatio-temporal system: the checks of every system, and its own laws."""

from tests.systems.system_tester import SystemTester, cohort_table, phantom, pictures

__all__ = ["cohort_table", "phantom", "pictures"]


class TestSpatioTemporalRcnn(SystemTester):
    name = "spatio_temporal_rcnn"
    parameters_m = 8.19
