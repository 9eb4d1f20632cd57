"""One xtables target per file: ``decode(rev, data, family)``, ``evaluate(info, ctx)``, ``render(info, family)``."""
