"""The user's own stories, told on a real container engine: prediction first, then a real packet, then comparison."""
