"""Pictures, one file each: functions from arrays and tables to a matplotlib figure, all in the one style of `style`.

They compute nothing that is scored; `slembench.reports` collects what they draw.
"""
