"""What a measured child process tells: CPU seconds and peak memory."""

import json
import subprocess
import sys

_TAIL = """
import json, resource, sys
used = resource.getrusage(resource.RUSAGE_SELF)
peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
if sys.platform == "linux":  # where that includes the process which started this one
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
print(json.dumps({"cpu_s": used.ru_utime + used.ru_stime, "peak_bytes": peak}))
"""


def measured(code: str) -> dict[str, float]:
    """Run *code* in a Python of its own; return its CPU seconds and its peak memory in bytes."""
    done = subprocess.run([sys.executable, "-c", code + _TAIL], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
