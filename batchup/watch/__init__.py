"""Watch: keeps an eye on a manifest's inputs, and runs what is new once it has been still for a while."""

from batchup.watch.alarm import AlarmError, open_alarm
from batchup.watch.loop import Wishes, watch
from batchup.watch.single import watched_alone

__all__ = ["AlarmError", "Wishes", "open_alarm", "watch", "watched_alone"]
