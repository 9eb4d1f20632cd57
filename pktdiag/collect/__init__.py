"""The live kernel behind ``model.view``: netlink, getsockopt, /proc, /sys. Dumb: rules stay raw bytes."""
