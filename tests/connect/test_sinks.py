"""A sink takes an alert whole or says that it did not, and no message repeats a secret."""

import json
import os
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from foregate.connect.sinks import Sink, send
from foregate.core.errors import ConfigurationError, OutsideError

ALERT = {"event": "alerted", "rule": "low_rate", "text": "größer 😀", "readings": [{"value": 0.02}]}
SECRET = "s3cr3t-t0ken"


def command(program: str, *words: str) -> Sink:
    return Sink("pager", "command", run=(sys.executable, "-c", program, *words))


def test_a_command_reads_the_alert_on_its_input(tmp_path: Path) -> None:
    target = tmp_path / "told"
    send(command("import sys; open(sys.argv[1], 'w').write(sys.stdin.read())", str(target)), ALERT)
    assert json.loads(target.read_text(encoding="utf-8")) == ALERT


@pytest.mark.parametrize(
    ("sink", "found"),
    [
        (command("import sys; print('first', file=sys.stderr); sys.exit('no route')"), "exit 1: no route"),
        (command("import sys; sys.stdin.read(); sys.exit(3)"), "exit 3,"),
        (Sink("pager", "command", run=("/no/such/command",)), "No such file"),
        (Sink("pager", "command", run=("a\0b",)), "null byte"),
    ],
)
def test_a_command_that_does_not_end_well_has_not_taken_it(sink: Sink, found: str) -> None:
    with pytest.raises(OutsideError, match="alert sink pager") as caught:
        send(sink, ALERT)
    assert found in str(caught.value)
    assert "stays in the outbox" in caught.value.then


def test_a_command_may_leave_its_input_alone_and_something_running() -> None:
    began = time.monotonic()
    send(command("import subprocess; subprocess.Popen(['sleep', '5'])"), ALERT)
    assert time.monotonic() - began < 4


def test_a_command_that_hangs_is_ended_with_all_it_started(tmp_path: Path) -> None:
    start = "import subprocess, sys; p = subprocess.Popen(['sleep', '60'])"
    program = f"{start}; open(sys.argv[1], 'w').write(str(p.pid)); p.wait()"
    with pytest.raises(OutsideError, match="no end within 1 seconds"):
        send(command(program, str(tmp_path / "pid")), ALERT, patience_seconds=1)
    child = int((tmp_path / "pid").read_text())
    for _ in range(100):
        if not alive(child):
            return
        time.sleep(0.02)
    pytest.fail(f"process {child} is still there")


def alive(pid: int) -> bool:
    """Return whether a process runs; one that ended and was not buried is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


class Server(ThreadingHTTPServer):
    """Answers with the code that the path asks for, and keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.got: list[tuple[str, Any, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answers(BaseHTTPRequestHandler):
    """One answer."""

    server: Server

    def do_POST(self) -> None:  # noqa: N802 - the library's name
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, self.headers["Content-Type"], json.loads(body)))
        if self.path.endswith("/slow"):
            time.sleep(1)
        code = int(self.path.split("/")[1])
        self.send_response(code)
        if 300 <= code < 400:
            self.send_header("Location", f"/200/{SECRET}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:  # noqa: N802 - the library's name
        self.server.got.append((self.path, None, None))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    one = Server()
    thread = Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield one
    one.shutdown()
    thread.join()
    one.server_close()


@pytest.mark.parametrize("code", [200, 202, 204])
def test_a_server_that_says_2xx_has_taken_it(server: Server, code: int) -> None:
    send(Sink("pager", "http", url=f"{server.url}/{code}/x"), ALERT)
    assert server.got == [(f"/{code}/x", "application/json", ALERT)]


@pytest.mark.parametrize("code", [301, 302, 303, 307, 400, 404, 429, 500, 503])
def test_any_other_answer_is_no_and_is_not_followed(server: Server, code: int) -> None:
    with pytest.raises(OutsideError, match=f"alert sink pager: found the answer {code}, ") as caught:
        send(Sink("pager", "http", url=f"{server.url}/{code}/{SECRET}"), ALERT)
    assert SECRET not in str(caught.value)
    assert len(server.got) == 1


def test_a_server_that_is_silent_or_gone_has_not_taken_it(server: Server) -> None:
    with pytest.raises(OutsideError, match="timeout|timed out"):
        send(Sink("pager", "http", url=f"{server.url}/200/slow"), ALERT, patience_seconds=0.2)
    with pytest.raises(OutsideError, match="connection refused"):
        send(Sink("pager", "http", url="http://127.0.0.1:1/x"), ALERT)


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", f"ftp://x/{SECRET}", f"http:///{SECRET}", f"http://[{SECRET}", f"http://x/{SECRET}\n"]
)
def test_an_address_that_is_none_is_the_projects_mistake(url: str) -> None:
    with pytest.raises(ConfigurationError, match="alert sink pager url: found no web address") as caught:
        send(Sink("pager", "http", url=url), ALERT)
    assert SECRET not in str(caught.value)


def test_a_url_the_library_refuses_is_not_quoted() -> None:
    with pytest.raises(OutsideError) as caught:
        send(Sink("pager", "http", url=f"http://x:{SECRET}/y z"), ALERT)
    assert SECRET not in str(caught.value)


def test_a_file_gets_one_line_for_each_alert(tmp_path: Path) -> None:
    sink = Sink("log", "file", path=str(tmp_path / "deep" / "alerts.jsonl"))
    send(sink, ALERT)
    send(sink, ALERT | {"rule": "other"})
    lines = Path(sink.path).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["rule"] for line in lines] == ["low_rate", "other"]


def test_a_line_that_was_cut_short_does_not_swallow_the_next(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    path.write_text('{"rule": "lo', encoding="utf-8")
    send(Sink("log", "file", path=str(path)), ALERT)
    assert json.loads(path.read_text(encoding="utf-8").splitlines()[1]) == ALERT


def test_a_file_that_can_not_be_written_has_not_taken_it(tmp_path: Path) -> None:
    with pytest.raises(OutsideError, match="alert sink log: found is a directory"):
        send(Sink("log", "file", path=str(tmp_path)), ALERT)
    (tmp_path / "file").touch()
    with pytest.raises(OutsideError, match="alert sink log"):
        send(Sink("log", "file", path=str(tmp_path / "file" / "x")), ALERT)
    if os.path.exists("/dev/full"):
        with pytest.raises(OutsideError, match="no space left"):
            send(Sink("log", "file", path="/dev/full"), ALERT)
