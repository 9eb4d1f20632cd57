"""Data made readable: text, JSON, tree, dot, mermaid. Untrusted text passes through ``safe`` and nowhere else."""
