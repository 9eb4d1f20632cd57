"""Bytes nobody meant: every decoder answers, or says in its own way that it could not (``decoders``).

Hypothesis runs each by default (``test_decoders``); ``scripts/fuzz`` runs atheris over them, guided by coverage, where that is
installed.
"""
