"""Unit: what starts a watch at every login, for systemd or launchd."""

import os
import plistlib
from collections.abc import Sequence
from pathlib import Path

from batchup.errors import Fault, ManifestError

KEY_FILE = ".config/batchup/environment"
"""Below the home folder; holds ``FAL_KEY=…`` for the service, since no shell's settings reach it."""

PAUSE_S = 60
STOP_S = 300
"""How long what is in flight may take to end; after that nothing is lost either."""


def systemd(job: str, folder: Path, command: Sequence[str]) -> str:
    """Return a systemd user unit.

    Source: https://www.freedesktop.org/software/systemd/man/latest/systemd.service.html, read 2026-11.

    Args:
        job: The manifest's ``name``.
        folder: Absolute; where it is run.
        command: The program, absolute, and its arguments.
    """
    name = f"batchup-{job}.service"
    return f"""\
# Keep as ~/.config/systemd/user/{_percent(name)}, then
#   systemctl --user daemon-reload
#   systemctl --user enable --now {_percent(name)}
# The key for fal, if it is needed, belongs into ~/{KEY_FILE} as FAL_KEY=..., readable by you alone.
# To go on while you are not logged in: loginctl enable-linger

[Unit]
Description=batchup watch {_percent(job)}

[Service]
WorkingDirectory={_path(folder)}
ExecStart={" ".join(map(_word, command))}
EnvironmentFile=-%h/{KEY_FILE}
# Asked to stop, it finishes what is in flight; what it cannot finish is taken up by the next start.
KillSignal=SIGTERM
KillMode=mixed
TimeoutStopSec={STOP_S}
SuccessExitStatus=130 143
# A manifest that is wrong, and another watch, do not pass by themselves.
RestartPreventExitStatus=2 4
Restart=on-failure
RestartSec={PAUSE_S}

[Install]
WantedBy=default.target
"""


def launchd(job: str, folder: Path, command: Sequence[str], home: Path) -> str:
    """Return a launchd property list, for ``~/Library/LaunchAgents``.

    Source: ``man launchd.plist``, macOS 15.

    Args:
        job: The manifest's ``name``.
        folder: Absolute; where it is run.
        command: The program, absolute, and its arguments.
        home: The user's; what the watch says goes below it.

    Raises:
        ManifestError: A name holds what such a file cannot.
    """
    settings = {
        "Label": f"batchup.{job}",
        "ProgramArguments": list(command),
        "WorkingDirectory": str(folder),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": PAUSE_S,
        "ExitTimeOut": STOP_S,
        "ProcessType": "Background",
        "StandardErrorPath": str(home / "Library/Logs" / f"batchup-{job}.log"),
        "StandardOutPath": str(home / "Library/Logs" / f"batchup-{job}.log"),
    }
    try:
        return plistlib.dumps(settings).decode()
    except (ValueError, UnicodeEncodeError) as error:
        message = f"{folder}: a path with such characters cannot stand in a launchd file: {error}"
        raise ManifestError([Fault("", 0, 0, message)]) from error


def _word(text: str) -> str:
    """Return one argument, quoted: nothing in it means anything to systemd."""
    return f'"{"".join(map(_character, os.fsencode(text)))}"'


def _character(byte: int) -> str:
    if byte in b'\\"':
        return f"\\{chr(byte)}"
    if byte in b"%$":
        return 2 * chr(byte)
    return chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}"  # noqa: PLR2004 - printable ASCII


def _path(folder: Path) -> str:
    """Return a path that stands alone: it is not unquoted, so that only its percent signs mean anything."""
    text = str(folder)
    if not text.isprintable() or text != text.strip() or text.endswith("\\"):
        message = f"{text!a}: a folder of such a name cannot stand in a systemd unit; rename it"
        raise ManifestError([Fault("", 0, 0, message)])
    return _percent(text)


def _percent(text: str) -> str:
    return text.replace("%", "%%")
