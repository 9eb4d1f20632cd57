"""The kernel is the judge: hosts nobody thought of, built for real, asked about, and then tried.

``generate`` invents a host and its packets (plain data, ``host``), ``build`` makes it in private namespaces (``lab``),
``send`` puts one packet on its way, ``observe`` takes the truth, ``compare`` holds the prediction against it,
``shrink`` reduces a disagreement, ``judge`` runs it all; ``faults`` proves that the harness notices what it should.
"""
