"""The command line: the only place that builds a live view of a host.

``options``   every command and option, declared once     ``fastlane``  the argv parser of the common case
``app``       the same table as a Typer application       ``errors``    one clear line, exit 2
``endpoint``  ``10.0.0.5:8000/udp`` as data               ``question``  from words to a model.question.Question
"""
