"""Figures: functions from arrays and tables to a matplotlib figure, a module for each kind, in the style of `style`.

They compute nothing that is scored. `slembench.reports` calls them; `page` puts what they draw into HTML.
"""
