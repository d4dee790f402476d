"""
Which registry a command is about.
"""

from __future__ import annotations

import click
from attrs import frozen

from ociregd.configuration import Configuration, ConfigurationError, load
from ociregd.settings import Settings


class Misconfigured(click.ClickException):
    """The configuration cannot be used."""

    exit_code = 2


@frozen
class Choice:
    """
    What the command line says about the configuration; nothing is read before it is needed.
    """

    config: str | None
    root: str | None

    def settings(self) -> Settings:
        """
        What the daemon would be configured to.

        @raise Misconfigured: if it would not start.
        """
        return self.configuration().settings

    def configuration(self) -> Configuration:
        """
        The same, and where it is from.

        @raise Misconfigured: if the daemon would not start.
        """
        try:
            return load(self.config, self.root)
        except ConfigurationError as problem:
            raise Misconfigured(str(problem)) from None
