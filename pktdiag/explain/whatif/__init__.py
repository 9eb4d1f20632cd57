"""What if: a change applied to the view of the host, so that the packet can be walked again with it in place.

Nothing here touches the host; a change is a value (``changes``), ``overlay`` answers the walk's questions as the host
would after it.
"""
