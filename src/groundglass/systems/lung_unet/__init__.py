"""Lungs by network, from axial and sagittal views."""
