-- Verdicts on artifacts and names of flows as they were at each entry, and indexes that join what runs to them.

-- derived
DROP TABLE artifact_states;
CREATE TABLE artifact_states (organization {int} NOT NULL, artifact {int} NOT NULL, entry {int} NOT NULL, state {text} NOT NULL, PRIMARY KEY (organization, artifact, entry)){strict_clustered};
CREATE INDEX artifact_states_by_entry ON artifact_states (organization, entry);
CREATE TABLE flow_namings (organization {int} NOT NULL, flow {int} NOT NULL, entry {int} NOT NULL, name {text} NOT NULL, archived_at {int}, PRIMARY KEY (organization, flow, entry)){strict_clustered};
CREATE INDEX flow_namings_by_entry ON flow_namings (organization, entry);
DROP INDEX artifacts_by_prefix;
CREATE INDEX artifacts_by_prefix ON artifacts (organization, prefix, flow, no, entry);
CREATE INDEX artifacts_by_repo ON artifacts (organization, repo, no);
