"""What a walk or a host means: causes, evidence, fixes. Pure: works on a view, never on the kernel."""
