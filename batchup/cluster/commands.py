"""What is typed on each machine of a cluster: the scheduler's command, a worker's, and how certificates are made."""

from dataclasses import dataclass
from pathlib import Path

KEEP_DAYS = 365
TLS = "BATCHUP_CLUSTER_TLS"
"""Environment variable: a folder with ``ca.pem``, ``cert.pem`` and ``key.pem``."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A cluster as it is to be.

    Attributes:
        host: On which its scheduler runs; a name or address that all machines know.
        port: Of the scheduler.
        slots: Tasks at a time on one worker.
        gpus: Tasks at a time on its GPUs; 0 for a worker without.
        certificates: Folder with ``ca.pem``, ``cert.pem`` and ``key.pem``; None for no encryption.
    """

    host: str
    port: int = 8786
    slots: int = 1
    gpus: int = 0
    certificates: Path | None = None

    @property
    def address(self) -> str:
        """Of the scheduler."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'tls' if self.certificates else 'tcp'}://{host}:{self.port}"

    def scheduler(self, *, only_here: bool = False) -> list[str]:
        """Return the command that starts the scheduler, on all of its machine's addresses unless *only_here*."""
        bound = ["--host", self.host] if only_here else []
        protocol = ["--protocol", "tls"] if self.certificates else []
        preload = ["--preload", "batchup.cluster.fence"]
        return [
            *("dask", "scheduler", *bound, "--port", str(self.port), *protocol, *self._certified()),
            *("--no-dashboard", *preload),
        ]

    def worker(self) -> list[str]:
        """Return the command that starts a worker."""
        gpus = ["--resources", f"GPU={self.gpus}"] if self.gpus else []
        # Its memory is the pool's processes', which Dask does not see; what it does see, it must not kill.
        return [
            *("dask", "worker", self.address, "--nthreads", str(self.slots), *gpus, *self._certified()),
            *("--memory-limit", "0", "--no-dashboard", "--preload", "batchup.cluster.worker"),
        ]

    def _certified(self) -> list[str]:
        if self.certificates is None:
            return []
        files = (("--tls-ca-file", "ca.pem"), ("--tls-cert", "cert.pem"), ("--tls-key", "key.pem"))
        return [part for option, name in files for part in (option, str(self.certificates / name))]

    def certify(self) -> list[list[str]]:
        """Return the commands that make the certificates: one for all machines, which shows that they belong together."""
        if self.certificates is None:
            return []
        key, cert, ca = (str(self.certificates / name) for name in ("key.pem", "cert.pem", "ca.pem"))
        usage = "keyUsage=critical,digitalSignature,keyCertSign"  # Python 3.13 asks for it
        return [
            ["mkdir", "-p", "-m", "700", str(self.certificates)],
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:3072", "-nodes", "-days", str(KEEP_DAYS)),
                *("-subj", "/CN=batchup", "-addext", usage, "-keyout", key, "-out", cert),
            ],
            ["cp", cert, ca],
        ]
