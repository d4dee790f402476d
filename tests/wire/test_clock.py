"""
The time of day may be set back while the daemon runs: its timers must not notice.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# In a process of its own: it sets the clock that everything sees, and runs the one reactor.
PROGRAM = """
import sys, time

true_time = time.time
offset = 0.0
time.time = lambda: true_time() + offset

from twisted.internet import reactor
from ociregd.tap import Options, makeService

options = Options()
options.parseOptions(["--root", sys.argv[1], "--listen", "tcp:0:interface=127.0.0.1"])
service = makeService(options)

def set_back():
    global offset
    reactor.callLater(0.05, reactor.stop)
    offset = -3600.0

reactor.callWhenRunning(set_back)
service.privilegedStartService()
service.startService()
reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
reactor.run()
"""


def test_the_time_of_day_is_set_back(tmp_path: Path) -> None:
    """A timer that was set before fires when it shall, not an hour late."""
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "root")]
    # Far more than it needs; without a clock of its own it would need an hour.
    done = subprocess.run(command, timeout=30, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
