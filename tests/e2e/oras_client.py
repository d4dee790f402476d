"""
A command line for oras-py, which is only a library.

It runs in the environment of the clients from PyPI.
"""

from __future__ import annotations

import argparse
import json
import sys

import oras.client  # type: ignore[import-not-found]
import oras.oci  # type: ignore[import-not-found]


def main(arguments: list[str]) -> None:
    """Do one thing with the registry, and print what came of it as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--secure", action="store_true", help="speak TLS")
    parser.add_argument("host")
    commands = parser.add_subparsers(dest="command", required=True)
    push = commands.add_parser("push")
    push.add_argument("target")
    push.add_argument("file")
    push.add_argument("--chunk-size", type=int, default=0, help="push in chunks of so many bytes")
    push.add_argument("--subject", help="the descriptor of a manifest, as JSON")
    pull = commands.add_parser("pull")
    pull.add_argument("target")
    pull.add_argument("directory")
    for name in ("tags", "delete"):
        commands.add_parser(name).add_argument("target")
    options = parser.parse_args(arguments)
    client = oras.client.OrasClient(hostname=options.host, insecure=not options.secure)
    print(json.dumps(globals()[options.command](client, options)))


def push(client: oras.client.OrasClient, options: argparse.Namespace) -> str | None:
    """Push a file as an artifact; the digest that the registry gave it."""
    chunked = {"do_chunked": True, "chunk_size": options.chunk_size} if options.chunk_size else {}
    subject = json.loads(options.subject) if options.subject else None
    digest: str | None = client.push(
        target=options.target,
        files=[options.file],
        subject=oras.oci.Subject(**subject) if subject else None,
        disable_path_validation=True,
        quiet=True,
        **chunked,
    ).headers.get("Docker-Content-Digest")
    return digest


def pull(client: oras.client.OrasClient, options: argparse.Namespace) -> list[str]:
    """Pull an artifact; the files it brought."""
    files: list[str] = client.pull(target=options.target, outdir=options.directory)
    return files


def tags(client: oras.client.OrasClient, options: argparse.Namespace) -> list[str]:
    """All tags of a repository."""
    found: list[str] = client.get_tags(options.target)
    return found


def delete(client: oras.client.OrasClient, options: argparse.Namespace) -> list[str]:
    """Delete the manifest that a tag names; the tags that are gone."""
    name, _, tag = options.target.rpartition(":")
    gone: list[str] = client.delete_tags(name, tag)
    return gone


if __name__ == "__main__":
    main(sys.argv[1:])
