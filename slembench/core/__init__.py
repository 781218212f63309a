"""Base of all packages: errors, files, shipped assets, configuration, logging and progress."""
