-- Flows, trails, artifacts, attestations, repositories.

-- derived
CREATE TABLE flows (organization {int} NOT NULL, no {int} NOT NULL, name {text} NOT NULL, visibility {text} NOT NULL, description {text} NOT NULL, template {int} NOT NULL, tags {text} NOT NULL, created_at {int} NOT NULL, archived_at {int}, latest_trail {int}, latest_at {int}, repo {int}, PRIMARY KEY (organization, no)){strict_clustered};
CREATE TABLE flow_names (organization {int} NOT NULL, name {text} NOT NULL, flow {int} NOT NULL, PRIMARY KEY (organization, name)){strict_clustered};
CREATE TABLE templates (organization {int} NOT NULL, no {int} NOT NULL, text {blob} NOT NULL, PRIMARY KEY (organization, no)){strict_clustered};
CREATE TABLE trails (organization {int} NOT NULL, no {int} NOT NULL, flow {int} NOT NULL, name {text} NOT NULL, implicit {int} NOT NULL, sha1 {blob}, template {int} NOT NULL, members {text} NOT NULL, repos {text} NOT NULL, created_by {text} NOT NULL, created_at {int} NOT NULL, modified_at {int} NOT NULL, told_by {int} NOT NULL, state {text} NOT NULL, PRIMARY KEY (organization, no)){strict_clustered};
CREATE UNIQUE INDEX trails_by_name ON trails (organization, flow, name);
CREATE TABLE tellings (organization {int} NOT NULL, trail {int} NOT NULL, entry {int} NOT NULL, at {int} NOT NULL, author {text} NOT NULL, changes {text}, members {text} NOT NULL, sha1 {blob}, repo {int}, template {int}, PRIMARY KEY (organization, trail, entry)){strict_clustered};
CREATE TABLE artifacts (organization {int} NOT NULL, no {int} NOT NULL, flow {int} NOT NULL, trail {int} NOT NULL, name {text}, prefix {int} NOT NULL, fingerprint {blob} NOT NULL, filename {text} NOT NULL, sha1_prefix {int}, sha1 {blob}, template {int} NOT NULL, repo {int}, entry {int} NOT NULL, at {int} NOT NULL, PRIMARY KEY (organization, no)){strict_clustered};
CREATE INDEX artifacts_by_flow ON artifacts (organization, flow, no);
CREATE INDEX artifacts_by_trail ON artifacts (organization, trail, no);
CREATE INDEX artifacts_by_prefix ON artifacts (organization, prefix, no);
CREATE INDEX artifacts_by_sha1 ON artifacts (organization, sha1_prefix, no);
CREATE TABLE artifact_states (organization {int} NOT NULL, artifact {int} NOT NULL, state {text} NOT NULL, PRIMARY KEY (organization, artifact)){strict_clustered};
CREATE TABLE attestations (organization {int} NOT NULL, no {int} NOT NULL, flow {int} NOT NULL, trail {int} NOT NULL, name {text} NOT NULL, kind {text} NOT NULL, is_compliant {int} NOT NULL, fingerprint {blob}, targets {text} NOT NULL, sha1_prefix {int}, sha1 {blob}, overrides {int}, original_kind {text}, template {int} NOT NULL, repo {int}, is_attached {int} NOT NULL, entry {int} NOT NULL, author {text} NOT NULL, at {int} NOT NULL, PRIMARY KEY (organization, no)){strict_clustered};
CREATE INDEX attestations_by_flow ON attestations (organization, flow, no);
CREATE INDEX attestations_by_trail ON attestations (organization, trail, no);
CREATE INDEX attestations_by_sha1 ON attestations (organization, sha1_prefix, no);
CREATE TABLE repos (organization {int} NOT NULL, no {int} NOT NULL, known {text} NOT NULL, provider {text}, id {text}, name {text} NOT NULL, facts {text} NOT NULL, tags {text} NOT NULL, created_at {int} NOT NULL, modified_at {int} NOT NULL, PRIMARY KEY (organization, no)){strict_clustered};
CREATE UNIQUE INDEX repos_by_known ON repos (organization, known);
