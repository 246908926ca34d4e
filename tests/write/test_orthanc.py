"""A real archive on loopback takes our objects, ties them to their study and returns them."""

import io
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections import Counter
from pathlib import Path
from urllib.error import URLError

import pydicom
import pytest

from groundglass.write import FORMATS, write
from tests.write.dicom_series import report_of, store

pytestmark = pytest.mark.slow

DICOM_WEB_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
BOUNDARY = "groundglass-boundary"


class Archive:
    """An Orthanc that listens on loopback alone."""

    def __init__(self, port):
        self.root = f"http://127.0.0.1:{port}"

    def get(self, path, accept="application/dicom+json"):
        request = urllib.request.Request(f"{self.root}{path}", headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    def store(self, files):
        """STOW-RS; the references of what was stored."""
        parts = b"".join(
            f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
            + file.read_bytes()
            + b"\r\n"
            for file in files
        )
        kind = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
        request = urllib.request.Request(
            f"{self.root}/dicom-web/studies",
            data=parts + f"--{BOUNDARY}--".encode(),
            headers={"Content-Type": kind, "Accept": "application/dicom+json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            said = json.load(answer)
        assert "Value" not in said.get("00081198", {}), f"refused: {said['00081198']}"
        return said["00081199"]["Value"]

    def instance(self, study, series, instance):
        """WADO-RS of one instance."""
        path = f"/dicom-web/studies/{study}/series/{series}/instances/{instance}"
        body = self.get(path, 'multipart/related; type="application/dicom"; transfer-syntax=*')
        start = body.index(b"\r\n\r\n") + 4
        end = body.rindex(b"\r\n--")
        return pydicom.dcmread(io.BytesIO(body[start:end]))


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    program = shutil.which("Orthanc")
    if program is None or not DICOM_WEB_PLUGIN.exists():
        pytest.skip("Orthanc is not installed (Debian: orthanc, orthanc-dicomweb)")
    folder = tmp_path_factory.mktemp("orthanc")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "HttpPort": port,
        "HttpBindAddresses": ["127.0.0.1"],
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomServerEnabled": False,
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "Plugins": [str(DICOM_WEB_PLUGIN)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    log = (folder / "log.txt").open("w")
    process = subprocess.Popen([program, str(folder / "orthanc.json")], stdout=log, stderr=log)
    running = Archive(port)
    try:
        for _ in range(100):
            try:
                running.get("/system", "application/json")
                break
            except (URLError, ConnectionError):
                assert process.poll() is None, (folder / "log.txt").read_text()[-2000:]
                time.sleep(0.1)
        yield running
    finally:
        process.terminate()
        process.wait(timeout=20)
        log.close()


@pytest.mark.parametrize("multi_frame", [False, True], ids=["classic", "multi-frame"])
def test_objects_are_stored_indexed_and_returned_with_their_study(archive, tmp_path, multi_frame):
    pytest.importorskip("weasyprint")
    scan = store(tmp_path / "scan", multi_frame=multi_frame)
    formats = [name for name, format in FORMATS.items() if format.needs_series]
    results = write(report_of(scan), tmp_path / "out", formats)
    sources = sorted(scan.iterdir())
    assert len(archive.store(sources)) == len(sources)
    assert len(archive.store(results)) == len(results)

    study = pydicom.dcmread(sources[0], stop_before_pixels=True).StudyInstanceUID
    series = json.loads(archive.get(f"/dicom-web/studies/{study}/series"))
    written = [pydicom.dcmread(file) for file in results]
    expected = {one.SeriesInstanceUID: one.Modality for one in written}
    kinds = Counter(one["00080060"]["Value"][0] for one in series)
    assert kinds == Counter(["CT", *expected.values()])
    for one in written:
        found = archive.instance(study, one.SeriesInstanceUID, one.SOPInstanceUID)
        assert found == one
