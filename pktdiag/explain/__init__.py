"""From what happened to why, and what to change. Pure: asks the view, walks again on what-if views, never reads the host itself."""
