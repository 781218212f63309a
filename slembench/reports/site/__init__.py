"""The leaderboard as a static site: plain files that need no server and load nothing from elsewhere."""

from slembench.reports.site.build import build_site

__all__ = ["build_site"]
