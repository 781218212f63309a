"""Reports: pages of data sets (Markdown), pages of runs (HTML), and the leaderboard as a static site."""
