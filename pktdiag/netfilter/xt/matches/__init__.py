"""One xtables match per file: ``decode(rev, data, family)``, ``evaluate(info, ctx)``, ``render(info, family)``."""
