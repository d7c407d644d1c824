"""Reads datasets and nothing else: no Celery, no driver, no engine."""
