"""What pktdiag costs, as ratios of runs taken in turns: ``scripts/bench``."""
