"""How long one scan takes, stage by stage, and how much memory, in a process of its own."""

import json
import os
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from pydantic import BaseModel, ConfigDict

from groundglass.systems.system import find_card
from groundglass.version import __version__

ROWS, COLUMNS = 512, 512
SPACING_MM = (1.25, 0.75, 0.75)


class Speed(BaseModel):
    """Times and memory of one analysis.

    Attributes:
        version: Version of groundglass.
        date: Day of the measurement.
        cores: CPU cores it could use.
        machine: Processor architecture and Python.
        system: System that found the lesions, or the class of one that classifies alone.
        shape: Slices, rows and columns of the scan.
        seconds: Time of each stage; ``start`` is the import of the libraries. A system that answers
            by several networks has the time of each.
        total_seconds: The whole process, from start to exit.
        peak_memory_gb: Largest resident memory of the process, in 10^9 bytes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    date: str
    cores: int
    machine: str
    system: str
    shape: tuple[int, int, int]
    seconds: dict[str, float]
    total_seconds: float
    peak_memory_gb: float


def measure_speed(system: str = "baseline_unet", slices: int = 300) -> Speed:
    """Analyze a phantom of a usual size as a DICOM series, in a process of its own.

    With a system that does not segment, the phantom is classified and the answer written.

    Args:
        system: Name of a system, or folder of a run.
        slices: Slices of the phantom.
    """
    shape = (slices, ROWS, COLUMNS)
    with tempfile.TemporaryDirectory(prefix="groundglass-bench-") as folder:
        scan, out = Path(folder) / "scan", Path(folder) / "out"
        _in_process(_MAKE, str(scan), json.dumps(shape), json.dumps(SPACING_MM))
        start = perf_counter()
        wanted = "segment" if "segment" in find_card(system)[0].answers else "classify"
        printed = _in_process(_ANALYZE, str(scan), str(out), system, wanted)
        total = perf_counter() - start
    seconds = json.loads(printed)
    peak_kb = seconds.pop("peak_kb")
    return Speed(
        version=__version__,
        date=datetime.now(UTC).date().isoformat(),
        cores=len(os.sched_getaffinity(0)),
        machine=f"{platform.machine()}, Python {platform.python_version()}",
        system=Path(system).name,
        shape=shape,
        seconds=seconds,
        total_seconds=round(total, 1),
        peak_memory_gb=round(peak_kb * 1024 / 1e9, 2),
    )


_MAKE = """
import json, sys
from pathlib import Path
from groundglass.data.phantom import make_phantom
from groundglass.data.phantom_files import write_phantom
shape, spacing_mm = (tuple(json.loads(numbers)) for numbers in sys.argv[2:])
write_phantom(make_phantom(0, shape=shape, spacing_mm=spacing_mm), Path(sys.argv[1]), "dicom")
"""

_ANALYZE = """
import json, resource, sys
from time import perf_counter
start = perf_counter()
from pathlib import Path
from groundglass.analyze import analyze, classify
from groundglass.write import write
from groundglass.write.answer import write_answer
ask, keep = (analyze, write) if sys.argv[4] == "segment" else (classify, write_answer)
started = perf_counter()
report = ask(Path(sys.argv[1]), system=sys.argv[3])
analyzed = perf_counter()
keep(report, Path(sys.argv[2]))
written = perf_counter()
seconds = {"start": started - start, **report.provenance.seconds, "writing": written - analyzed}
seconds = {name: round(value, 2) for name, value in seconds.items()}
print(json.dumps({**seconds, "peak_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))
"""


def _in_process(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *arguments],
        check=True,
        stdout=subprocess.PIPE,  # what goes wrong is seen on the terminal
        text=True,
        env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"},  # as the command line sets it
    )
    return done.stdout
