"""What everything rests on: errors, files, shipped assets, configuration, messages and progress."""
