-- One text for every engine. Names, digests and media types sort bytewise: SQLite does it unasked,
-- another engine has to be told. Times are seconds since the epoch. No foreign keys: each cascade is written out where it happens, and tested there.

CREATE TABLE repository (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created DOUBLE PRECISION NOT NULL
);

-- A doomed blob keeps its row, so that its generations never begin anew: a file of an earlier one may
-- still be waiting for its removal.
CREATE TABLE blob (
    digest TEXT NOT NULL PRIMARY KEY,
    size BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    state TEXT NOT NULL,
    created DOUBLE PRECISION NOT NULL
);

CREATE TABLE repository_blob (
    repository BIGINT NOT NULL,
    digest TEXT NOT NULL,
    lease_until DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (repository, digest)
);

CREATE INDEX repository_blob_by_digest ON repository_blob (digest);

-- The annotations of a manifest with a subject, as JSON: a referrers list carries them.
CREATE TABLE manifest (
    repository BIGINT NOT NULL,
    digest TEXT NOT NULL,
    media_type TEXT NOT NULL,
    artifact_type TEXT,
    subject TEXT,
    annotations TEXT,
    size BIGINT NOT NULL,
    body BYTEA NOT NULL,
    pushed DOUBLE PRECISION NOT NULL,
    lease_until DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (repository, digest)
);

CREATE INDEX manifest_by_subject ON manifest (repository, subject, digest)
    WHERE subject IS NOT NULL;

CREATE INDEX manifest_by_artifact_type ON manifest (repository, subject, artifact_type, digest)
    WHERE subject IS NOT NULL;

CREATE TABLE reference (
    repository BIGINT NOT NULL,
    manifest TEXT NOT NULL,
    kind TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (repository, manifest, kind, digest)
);

CREATE INDEX reference_by_digest ON reference (digest, repository);

CREATE TABLE tag (
    repository BIGINT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    updated DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (repository, name)
);

CREATE INDEX tag_by_digest ON tag (repository, digest);

-- By name, not by id: a repository exists once something was pushed to it. An ended session has no
-- name and was touched at -1; its row goes when its file is gone.
CREATE TABLE upload (
    session_id TEXT NOT NULL PRIMARY KEY,
    repository TEXT NOT NULL,
    started DOUBLE PRECISION NOT NULL,
    touched DOUBLE PRECISION NOT NULL
);

CREATE INDEX upload_by_touched ON upload (touched);

-- What the collector shall look at, and when.
CREATE TABLE due (
    kind TEXT NOT NULL,
    repository BIGINT NOT NULL,
    digest TEXT NOT NULL,
    due_at DOUBLE PRECISION NOT NULL,
    tries BIGINT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (kind, repository, digest)
);

CREATE INDEX due_by_time ON due (due_at);

-- Files to remove.
CREATE TABLE trash (
    digest TEXT NOT NULL,
    generation BIGINT NOT NULL,
    size BIGINT NOT NULL,
    doomed DOUBLE PRECISION NOT NULL,
    purge_after DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (digest, generation)
);

CREATE INDEX trash_by_time ON trash (purge_after);
