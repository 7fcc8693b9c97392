"""The demo catalogue: generated, deterministic, any size. It shows and tests everything without a download."""

from modules.demo.write import DemoSummary, write_demo

__all__ = ["DemoSummary", "write_demo"]
