"""Self-supervised Inf-Net: the checks of every system, and its own laws."""

from tests.systems.system_tester import SystemTester, cohort_table, phantom, pictures

__all__ = ["cohort_table", "phantom", "pictures"]


class TestSsInfNet(SystemTester):
    name = "ss_inf_net"
    parameters_m = 3.65
