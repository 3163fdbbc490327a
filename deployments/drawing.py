"""One picture at a time: matplotlib is not for two threads at once."""

from __future__ import annotations

import threading

DRAWING = threading.Lock()
