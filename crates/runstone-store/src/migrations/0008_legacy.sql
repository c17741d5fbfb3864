-- Approvals and announced deployments, as clients older than trails tell them.

-- derived
CREATE TABLE approvals (organization {int} NOT NULL, flow {int} NOT NULL, no {int} NOT NULL, artifact {int} NOT NULL, trail {int} NOT NULL, prefix {int} NOT NULL, fingerprint {blob} NOT NULL, environment {int}, state {text} NOT NULL, entry {int} NOT NULL, author {text} NOT NULL, at {int} NOT NULL, PRIMARY KEY (organization, flow, no)){strict_clustered};
CREATE INDEX approvals_by_prefix ON approvals (organization, prefix, entry);
CREATE TABLE deployments (organization {int} NOT NULL, flow {int} NOT NULL, no {int} NOT NULL, artifact {int} NOT NULL, trail {int} NOT NULL, prefix {int} NOT NULL, fingerprint {blob} NOT NULL, environment {int} NOT NULL, entry {int} NOT NULL, author {text} NOT NULL, at {int} NOT NULL, PRIMARY KEY (organization, flow, no)){strict_clustered};
CREATE INDEX deployments_by_prefix ON deployments (organization, prefix, entry);
CREATE INDEX deployments_by_entry ON deployments (organization, entry);
