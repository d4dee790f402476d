"""
Every route of the OCI distribution specification, in the order of its endpoint table.

A handler parses what the URL says, asks the registry, and describes the answer. Routes capture
loosely, since a strict pattern would make a bad name an unknown page instead of C{NAME_INVALID}.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, cast
from uuid import uuid4

from klein.interfaces import IKleinRequest
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from ociregd.access.gate import Gate
from ociregd.access.rules import Action
from ociregd.errors import (
    DigestInvalid,
    RangeNotSatisfiable,
    RegistryError,
    Unsupported,
)
from ociregd.oci.digest import Digest, parse_algorithm
from ociregd.oci.names import RepositoryName, parse_reference
from ociregd.registry.nowhere import with_nothing
from ociregd.registry.repository import Registry, Repository
from ociregd.threads import carried_through
from ociregd.values import INLINE_BYTES
from ociregd.web.answers import (
    blob_created,
    describe_upload,
    mount_blob,
    nothing,
    parse_target,
    send_json,
    upload_accepted,
    wanted_chunk,
    wanted_tags,
)
from ociregd.web.blobs import describe_blob, not_modified, send_blob
from ociregd.web.budget import Budget
from ociregd.web.catalogue import catalogue
from ociregd.web.errors import INCIDENT, Refusal, refuse, render
from ociregd.web.guard import Admission, GuardedRoutes, Needs, admission
from ociregd.web.headers import DESCRIPTION
from ociregd.web.links import Window, argument, manifest_location, next_link
from ociregd.web.referrers import send_referrers
from ociregd.web.routing import CONVERTERS
from ociregd.web.sending import send
from ociregd.web.streaming import StreamingRequest

UNROUTABLE = Refusal(404, "UNSUPPORTED", "the registry has no such endpoint")
WRONG_METHOD = Refusal(405, "UNSUPPORTED", "the endpoint does not take this method")


class RegistryAPI:
    """
    The registry, over HTTP.
    """

    app = GuardedRoutes()
    app.url_map.converters.update(CONVERTERS)
    # No redirects: they would go to whatever host the client claims to have asked.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    _log = Logger()

    def __init__(
        self,
        registry: Registry,
        push_budget: Budget | None = None,
        list_budget: Budget | None = None,
        gate: Gate | None = None,
    ) -> None:
        """
        @param push_budget: what manifests may take of the memory while they are pushed.
        @param list_budget: the same for lists of referrers, whose annotations may be as large.
        @param gate: who knows the callers; without it everybody may do everything.
        """
        self._registry = registry
        self._push_budget = push_budget if push_budget is not None else Budget()
        self._list_budget = list_budget if list_budget is not None else Budget()
        self._gate = gate
        if gate is not None:
            nothing = with_nothing(registry)
            self._blind = RegistryAPI(nothing, self._push_budget, self._list_budget)

    async def admit(self, request: StreamingRequest, needs: Needs, name: str | None) -> RegistryAPI:
        """
        Let a request take a route, or refuse it.

        @return: who answers: this, or one that knows of no repositories.
        """
        if self._gate is None:
            return self
        admitted = await admission(self._gate, request, needs, name)
        return self if admitted is Admission.GRANTED else self._blind

    def _repository(self, name: str) -> Repository:
        return self._registry.repository(RepositoryName.parse(name))

    @app.route("/v2/", methods=["GET", "HEAD"], needs=Needs.CREDENTIALS)
    async def ping(self, request: StreamingRequest) -> bytes:
        """
        end-1: this is a registry.
        """
        return await send_json(request, {})

    @app.route("/v2/<name:name>/blobs/<digest:digest>", methods=["GET", "HEAD"], needs=Needs.PULL)
    async def pull_blob(self, request: StreamingRequest, name: str, digest: str) -> bytes:
        """
        end-2: the bytes of a blob, or ranges of them.
        """
        repository, wanted = self._repository(name), Digest.parse(digest)
        blobs = repository.blobs
        if request.method == b"HEAD":
            # Who may not push does not rely on the answer for longer than a pull takes.
            pushes = request.caller.may(Action.PUSH, repository.name)
            blob = await (blobs.promise(wanted) if pushes else blobs.stat(wanted))
            describe_blob(request, blob)
            return b""
        blob, reader = await blobs.open(wanted)
        try:
            if describe_blob(request, blob):
                return b""
            return await send_blob(request, blob, reader)
        finally:
            reader.close()

    @app.route("/v2/<name:name>/manifests/<reference>", methods=["GET", "HEAD"], needs=Needs.PULL)
    async def pull_manifest(self, request: StreamingRequest, name: str, reference: str) -> bytes:
        """
        end-3: a manifest, byte for byte as it was pushed, whatever the client accepts.
        """
        manifests = self._repository(name).manifests
        wants_body = request.method == b"GET"
        inline = INLINE_BYTES if wants_body else 0
        manifest = await manifests.get(parse_reference(reference), inline)
        if not_modified(request, manifest.digest):
            return b""
        request.setHeader(b"content-type", manifest.media_type)
        request.setHeader(b"content-length", b"%d" % manifest.size)
        if manifest.body is not None:
            return manifest.body
        if wants_body:
            await send(request, partial(manifests.slice, manifest.digest), 0, manifest.size)
        return b""

    @app.route("/v2/<name:name>/blobs/uploads", methods=["POST"], needs=Needs.PUSH)
    @app.route("/v2/<name:name>/blobs/uploads/", methods=["POST"], needs=Needs.PUSH)
    async def start_upload(self, request: StreamingRequest, name: str) -> bytes:
        """
        end-4a, 4b, 4c, 11: begin an upload; or push a blob at once; or mount one.
        """
        repository = self._repository(name)
        mount, digest = argument(request.args, b"mount"), argument(request.args, b"digest")
        if mount is not None:
            source = argument(request.args, b"from")
            mounted = await mount_blob(repository, request.caller, mount, source)
            if mounted is not None:
                return blob_created(request, repository.name, mounted)
        elif digest is not None:
            return await self._push_at_once(request, repository, Digest.parse(digest))
        hint = argument(request.args, b"digest-algorithm")
        algorithm = parse_algorithm(hint) if hint is not None else "sha256"
        session_id = await repository.uploads.start(algorithm)
        return upload_accepted(request, repository.name, session_id, 0)

    async def _push_at_once(
        self, request: StreamingRequest, repository: Repository, digest: Digest
    ) -> bytes:
        session_id, standing = await repository.uploads.start_for(digest)
        # Nobody was told about the session, so nobody can resume it if this fails.
        try:
            await repository.uploads.commit(session_id, digest, request.incoming, standing=standing)
        except CancelledError:
            # The client went away, perhaps in the middle of the commit.
            await self._end_upload(session_id, repository.uploads.abandon)
            raise
        except Exception:
            await self._end_upload(session_id, repository.uploads.cancel)
            raise
        return blob_created(request, repository.name, digest)

    async def _end_upload(
        self, session_id: str, end: Callable[[str], Coroutine[Any, Any, None]]
    ) -> None:
        """
        End the upload of a request that has failed: that is what its client hears, not of this.
        """
        try:
            await end(session_id)
        except CancelledError:
            raise
        except RegistryError as problem:
            self._log.warn(
                "upload {session_id} stays until it expires: {problem}",
                session_id=session_id,
                problem=problem,
            )
        except Exception:
            self._log.failure("upload {session_id} stays until it expires", session_id=session_id)

    @app.route("/v2/<name:name>/blobs/uploads/<session_id>", methods=["PATCH"], needs=Needs.PUSH)
    async def push_chunk(self, request: StreamingRequest, name: str, session_id: str) -> bytes:
        """
        end-5: append to an upload: the next chunk, or everything that comes.
        """
        repository = self._repository(name)
        chunk = wanted_chunk(request)
        try:
            offset = await repository.uploads.append(session_id, request.incoming, chunk)
        except RangeNotSatisfiable as problem:
            describe_upload(request, repository.name, session_id, problem.offset)
            raise
        return upload_accepted(request, repository.name, session_id, offset)

    @app.route("/v2/<name:name>/blobs/uploads/<session_id>", methods=["PUT"], needs=Needs.PUSH)
    async def push_blob(self, request: StreamingRequest, name: str, session_id: str) -> bytes:
        """
        end-6: end an upload, perhaps with a last chunk, and make it a blob.
        """
        repository = self._repository(name)
        digest = argument(request.args, b"digest")
        if digest is None:
            raise DigestInvalid("say ?digest= when an upload ends")
        wanted, chunk = Digest.parse(digest), wanted_chunk(request)
        try:
            await repository.uploads.commit(session_id, wanted, request.incoming, chunk)
        except RangeNotSatisfiable as problem:
            describe_upload(request, repository.name, session_id, problem.offset)
            raise
        return blob_created(request, repository.name, wanted)

    @app.route(
        "/v2/<name:name>/blobs/uploads/<session_id>", methods=["GET", "HEAD"], needs=Needs.PUSH
    )
    async def stat_upload(self, request: StreamingRequest, name: str, session_id: str) -> bytes:
        """
        end-13: how far an upload has come.
        """
        repository = self._repository(name)
        offset = await repository.uploads.offset(session_id)
        describe_upload(request, repository.name, session_id, offset)
        request.setResponseCode(204)
        return b""

    @app.route("/v2/<name:name>/blobs/uploads/<session_id>", methods=["DELETE"], needs=Needs.PUSH)
    async def cancel_upload(self, request: StreamingRequest, name: str, session_id: str) -> bytes:
        """
        end-14: forget an upload.
        """
        await self._repository(name).uploads.cancel(session_id)
        request.setHeader(b"docker-upload-uuid", session_id)
        request.setResponseCode(204)
        return b""

    @app.route("/v2/<name:name>/manifests/<reference>", methods=["PUT"], needs=Needs.PUSH)
    async def push_manifest(self, request: StreamingRequest, name: str, reference: str) -> bytes:
        """
        end-7a, 7b: push a manifest by tag, or by digest and any number of tags.
        """
        repository = self._repository(name)
        target = parse_target(reference)
        tags = wanted_tags(request) if isinstance(target, Digest) else []
        limit = self._registry.policy.manifest_bytes
        content_type = request.getHeader("content-type")
        with self._push_budget.claim() as claim:
            body = await request.incoming.read(limit, claim.take)
            storing = Deferred.fromCoroutine(
                repository.manifests.put(target, tags, body, content_type)
            )
            pushed = await carried_through(claim.until(storing), expected=[RegistryError])
        request.setHeader(b"location", manifest_location(repository.name, pushed.digest))
        request.setHeader(b"docker-content-digest", str(pushed.digest))
        if pushed.subject is not None:
            request.setHeader(b"oci-subject", pushed.subject)
        if tags:
            request.responseHeaders.setRawHeaders("oci-tag", [str(tag) for tag in tags])
        return nothing(request, 201)

    @app.route("/v2/<name:name>/tags/list", methods=["GET", "HEAD"], needs=Needs.PULL)
    async def list_tags(self, request: StreamingRequest, name: str) -> bytes:
        """
        end-8a, 8b: the tags of a repository, in bytewise order.
        """
        repository, window = self._repository(name), Window.of(request.args)
        page = await repository.tags.page(window.last, window.count)
        if page.more and page.names:
            link = next_link(
                f"/v2/{repository.name}/tags/list", request.args, window, page.names[-1]
            )
            request.setHeader(b"link", link)
        return await send_json(request, {"name": str(repository.name), "tags": page.names})

    @app.route("/v2/<name:name>/manifests/<reference>", methods=["DELETE"], needs=Needs.DELETE)
    async def delete_manifest(self, request: StreamingRequest, name: str, reference: str) -> bytes:
        """
        end-9: delete a manifest with its tags, or untie one tag.
        """
        repository = self._repository(name)
        self._registry.check_deletes()
        target = parse_reference(reference)
        if isinstance(target, Digest):
            await repository.manifests.delete(target)
        else:
            await repository.tags.remove(target)
        return nothing(request, 202)

    @app.route("/v2/<name:name>/blobs/<digest:digest>", methods=["DELETE"], needs=Needs.DELETE)
    async def delete_blob(self, request: StreamingRequest, name: str, digest: str) -> bytes:
        """
        end-10: let a repository hold a blob no longer.
        """
        repository = self._repository(name)
        self._registry.check_deletes()
        await repository.blobs.delete(Digest.parse(digest))
        return nothing(request, 202)

    @app.route("/v2/<name:name>/referrers/<digest>", methods=["GET", "HEAD"], needs=Needs.PULL)
    async def list_referrers(self, request: StreamingRequest, name: str, digest: str) -> bytes:
        """
        end-12a, 12b: the manifests whose subject is this digest, perhaps of one artifact type.
        """
        repository, subject = self._repository(name), Digest.parse(digest)
        return await send_referrers(request, repository, subject, self._list_budget)

    @app.route("/v2/_catalog", methods=["GET", "HEAD"], needs=Needs.LISTING)
    async def list_repositories(self, request: StreamingRequest) -> bytes:
        """
        Docker's extension: the repositories that may be pulled from, in bytewise order.
        """
        window = Window.of(request.args)
        page = await catalogue(self._registry, request.caller, window.last, window.count)
        if page.more and page.names:
            link = next_link("/v2/_catalog", request.args, window, page.names[-1])
            request.setHeader(b"link", link)
        return await send_json(request, {"repositories": page.names})

    @app.handle_errors(RegistryError)  # type: ignore[arg-type]
    def refuse(self, request: StreamingRequest, failure: Failure) -> bytes:
        """A refusal, told by the table."""
        if request.startedWriting:
            self._log.info(
                "cut the answer to {method} {uri}: {reason}",
                method=request.method,
                uri=request.uri,
                reason=str(failure.value),
            )
            return self._break_off(request)
        for name in DESCRIPTION:
            request.responseHeaders.removeHeader(name)
        if isinstance(failure.value, Unsupported):
            methods = set(IKleinRequest(request).mapper.allowed_methods())
            request.setHeader(b"allow", ", ".join(sorted(methods - {request.method.decode()})))
        return refuse(request, cast(RegistryError, failure.value))

    @app.handle_errors(HTTPException)  # type: ignore[arg-type]
    def unroutable(self, request: StreamingRequest, failure: Failure) -> bytes:
        """A path or a method that no route takes."""
        if isinstance(failure.value, MethodNotAllowed):
            allowed = ", ".join(sorted(failure.value.valid_methods or []))
            request.setHeader(b"allow", allowed)
            return render(request, WRONG_METHOD, [f"it takes {allowed}"])
        return render(request, UNROUTABLE, ["the API is below /v2/"])

    @app.handle_errors(Exception)  # type: ignore[arg-type]
    def incident(self, request: StreamingRequest, failure: Failure) -> bytes:
        """A bug, or a broken disk: logged with an id that the client is told."""
        incident_id = str(uuid4())
        self._log.failure(
            "incident {incident_id}: {method} {uri}",
            failure=failure,
            incident_id=incident_id,
            method=request.method,
            uri=request.uri,
        )
        if request.startedWriting:
            return self._break_off(request)
        for name in (*DESCRIPTION, "location"):
            request.responseHeaders.removeHeader(name)
        return render(request, INCIDENT, [incident_id])

    def _break_off(self, request: StreamingRequest) -> bytes:
        # Too late for a status: a short body is the only honest end.
        request.transport.abortConnection()
        return b""
