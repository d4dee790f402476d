"""
The command C{ociregctl}, and what all its parts share.
"""

from __future__ import annotations

import signal

import click

from ociregd.configuration import DEFAULT_CONFIG
from ociregd.ctl.access import access
from ociregd.ctl.choice import Choice
from ociregd.ctl.migrate import migrate
from ociregd.ctl.user import user


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 if it is done, 1 if it cannot be, 2 if the command line or the "
    "configuration is wrong.",
)
@click.option(
    "-c", "--config", metavar="FILE", help=f"The configuration file.  [default: {DEFAULT_CONFIG}]"
)
@click.option("-r", "--root", metavar="DIR", help="The directory for blobs and metadata.")
@click.version_option(package_name="ociregd")
@click.pass_context
def ociregctl(context: click.Context, config: str | None, root: str | None) -> None:
    """
    Look after a registry. The configuration is that of the daemon; with --root none is needed.
    """
    context.obj = Choice(config, root)


ociregctl.add_command(migrate)
ociregctl.add_command(user)
ociregctl.add_command(access)


def main() -> None:
    """
    Called by the script.
    """
    # A library that waits for a server would keep Python from seeing Ctrl-C; and whatever is under
    # way, the database undoes it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    ociregctl()
