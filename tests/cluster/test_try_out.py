"""A cluster on this machine that is started to try it, and how it ends."""

import signal

from tests.cluster.machines import layout
from tests.library import alive, batchup, children, start, wait_until


def test_what_is_started_for_a_try_ends_with_it_however_it_is_ended(tmp_path):
    planned = layout()
    trial = start("cluster", "--local", "1", "--port", str(planned.port), cwd=tmp_path)
    assert trial.stdout
    said = [trial.stdout.readline() for _ in range(3)]
    taken = batchup("cluster", "--local", 1, "--port", planned.port, cwd=tmp_path, status=1)
    begun = children(trial.pid)

    trial.send_signal(signal.SIGTERM)
    trial.communicate(timeout=20)

    assert said[0] == "1 worker is ready. In another terminal, or job:\n"
    assert f"--cluster {planned.address} MANIFEST" in said[1]
    assert taken.stderr == f"port {planned.port} is taken on 127.0.0.1; choose another: --port N\n"
    assert trial.returncode == 0
    assert begun
    wait_until(lambda: not any(map(alive, begun)))
