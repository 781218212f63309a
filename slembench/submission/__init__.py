"""Submissions: written, read as untrusted files, and verified by scoring them again."""
