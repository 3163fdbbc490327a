"""Imports a module without the optional packages it would take along: memory and seconds that nothing here uses."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType


def import_without(name: str, *optional: str) -> ModuleType:
    """Import a module while the optional packages cannot be imported; those that are loaded already stay visible.

    Raises:
        ImportError: one of them is not optional.
    """
    hidden = [package for package in optional if package not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None makes an import fail
    try:
        return importlib.import_module(name)
    finally:
        for package in hidden:
            del sys.modules[package]
