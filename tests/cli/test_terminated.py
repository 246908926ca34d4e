"""SIGTERM, as ``docker stop`` and batch queues send it, leaves nothing of a patient on the disk."""

import os
import signal
import subprocess
import sys
import zipfile

import pytest

WAITS = """
import sys, time
from pathlib import Path
from groundglass import cli
from groundglass.read.archive import unpacked
from groundglass.write.folder import move_in_when_done

def wait(folder):
    (folder / "report.html").write_text("half of it")
    print("at work", flush=True)
    time.sleep(60)

def work(**_):
    with unpacked(Path(sys.argv[1])):
        move_in_when_done(Path(sys.argv[2]), wait)

cli.app = work
cli.main()
"""

TRAINS = """
import os, signal, sys
import lightning
from lightning.pytorch.demos.boring_classes import BoringModel
from groundglass import cli

class Module(BoringModel):
    def training_step(self, batch, batch_idx):
        if batch_idx == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        loss = super().training_step(batch, batch_idx)
        print("finished", batch_idx, flush=True)
        return loss

def work(**_):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = lightning.Trainer(
        accelerator="cpu", max_epochs=1, limit_val_batches=0, default_root_dir=sys.argv[1], **quiet
    )
    trainer.fit(Module())

cli.app = work
cli.main()
"""


def started(script, *args, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | environment,
        text=True,
    )


def test_sigterm_leaves_no_temporary_folder_and_exits_143(tmp_path):
    temporary, out, scan = (tmp_path / name for name in ("temporary", "out", "scan.zip"))
    temporary.mkdir()
    out.mkdir()
    with zipfile.ZipFile(scan, "w") as archive:
        archive.writestr("IM0001.dcm", "a patient")
    process = started(WAITS, scan, out, TMPDIR=str(temporary))
    assert process.stdout.readline() == "at work\n"
    assert [*temporary.iterdir(), *out.iterdir()] != []
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert [*temporary.iterdir(), *out.iterdir()] == []


@pytest.mark.slow
def test_a_training_ends_after_its_batch_as_lightning_has_it(tmp_path):
    said, _ = started(TRAINS, tmp_path).communicate(timeout=300)
    assert said.splitlines()[-1] == "finished 3"
