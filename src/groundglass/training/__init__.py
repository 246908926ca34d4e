"""From a config and a cohort to a run: one training path for every system."""
