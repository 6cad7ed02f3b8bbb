"""The chart library, uPlot, as the package `youplot` brings it along: served from there, and in no copy of ours."""

from pathlib import Path

import youplot

CHARTS = Path(youplot.__file__).parent / "vendor"
CHARTS_PATH = "/chart-assets"
