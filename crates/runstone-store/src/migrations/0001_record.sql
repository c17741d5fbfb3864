-- Tokens: {int} {text} {blob} column types, {strict} and {strict_clustered} table ends.

-- operational
CREATE TABLE meta (name {text} NOT NULL PRIMARY KEY, value {blob} NOT NULL){strict};

-- journal
CREATE TABLE heads (organization {int} NOT NULL PRIMARY KEY, id {text} NOT NULL, name {text} NOT NULL, epoch {text} NOT NULL, origin {text} NOT NULL, epoch_from {int} NOT NULL, size {int} NOT NULL, root {blob} NOT NULL, note {text} NOT NULL, last_at {int} NOT NULL, batch {blob} NOT NULL){strict_clustered};
CREATE TABLE epochs (organization {int} NOT NULL, from_size {int} NOT NULL, epoch {text} NOT NULL, origin {text} NOT NULL, to_size {int}, note {text}, PRIMARY KEY (organization, from_size)){strict};
CREATE TABLE log_keys (organization {int} NOT NULL, from_size {int} NOT NULL, generation {int} NOT NULL, origin {text} NOT NULL, vkey {text} NOT NULL, to_size {int}, until_at {int}, PRIMARY KEY (organization, from_size, generation)){strict};
CREATE TABLE entries (organization {int} NOT NULL, position {int} NOT NULL, leaf {blob} NOT NULL, bytes {blob} NOT NULL, batch {blob}, PRIMARY KEY (organization, position)){strict_clustered};
CREATE TABLE bundles (organization {int} NOT NULL, n {int} NOT NULL, bytes {blob} NOT NULL, PRIMARY KEY (organization, n)){strict};
CREATE TABLE tiles (organization {int} NOT NULL, level {int} NOT NULL, n {int} NOT NULL, bytes {blob} NOT NULL, PRIMARY KEY (organization, level, n)){strict};

-- bodies
CREATE TABLE bodies (organization {int} NOT NULL, entry {int} NOT NULL, position {int} NOT NULL, private {int} NOT NULL, encoding {int} NOT NULL, bytes_total {int} NOT NULL, bytes {blob}, PRIMARY KEY (organization, entry, position)){strict_clustered};

-- derived
CREATE TABLE counters (organization {int} NOT NULL PRIMARY KEY, organizations {int} NOT NULL, users {int} NOT NULL, environments {int} NOT NULL, records {int} NOT NULL, accounts {int} NOT NULL){strict_clustered};
CREATE TABLE organizations (no {int} NOT NULL PRIMARY KEY, id {text} NOT NULL, name {text} NOT NULL, kind {text} NOT NULL, public {int} NOT NULL, description {text} NOT NULL, created_at {int} NOT NULL, modified_at {int} NOT NULL){strict_clustered};
CREATE UNIQUE INDEX organizations_by_name ON organizations (name);
CREATE TABLE users (no {int} NOT NULL PRIMARY KEY, name {text} NOT NULL, email {text} NOT NULL, created_at {int} NOT NULL){strict_clustered};
CREATE UNIQUE INDEX users_by_name ON users (name);
CREATE TABLE memberships (organization {int} NOT NULL, usr {int} NOT NULL, role {text} NOT NULL, PRIMARY KEY (organization, usr)){strict_clustered};
CREATE TABLE accounts (organization {int} NOT NULL, no {int} NOT NULL, name {text} NOT NULL, role {text} NOT NULL, description {text} NOT NULL, created_at {int} NOT NULL, PRIMARY KEY (organization, no)){strict_clustered};
CREATE UNIQUE INDEX accounts_by_name ON accounts (organization, name);
CREATE TABLE api_keys (verifier {blob} NOT NULL PRIMARY KEY, id {text} NOT NULL, usr {int}, organization {int}, account {int}, description {text} NOT NULL, created_at {int} NOT NULL, expires_at {int}, revoked_at {int}){strict};
CREATE TABLE environments (organization {int} NOT NULL, no {int} NOT NULL, name {text} NOT NULL, kind {text} NOT NULL, description {text} NOT NULL, include_scaling {int} NOT NULL, require_provenance {int} NOT NULL, members {text} NOT NULL, tags {text} NOT NULL, created_at {int} NOT NULL, modified_at {int} NOT NULL, archived_at {int}, snapshots {int} NOT NULL, changed_at {int}, PRIMARY KEY (organization, no)){strict_clustered};
CREATE TABLE environment_names (organization {int} NOT NULL, name {text} NOT NULL, environment {int} NOT NULL, PRIMARY KEY (organization, name)){strict_clustered};
CREATE TABLE members (organization {int} NOT NULL, member {int} NOT NULL, logical {int} NOT NULL, PRIMARY KEY (organization, member, logical)){strict_clustered};
CREATE INDEX members_by_logical ON members (organization, logical);
CREATE TABLE records (organization {int} NOT NULL, no {int} NOT NULL, prefix {int} NOT NULL, fingerprint {blob}, name {text} NOT NULL, instances {int}, PRIMARY KEY (organization, no)){strict_clustered};
CREATE INDEX records_by_prefix ON records (organization, prefix);
CREATE TABLE snapshots (organization {int} NOT NULL, environment {int} NOT NULL, no {int} NOT NULL, entry {int} NOT NULL, at {int} NOT NULL, events_before {int} NOT NULL, events {int} NOT NULL, keyframe {int} NOT NULL, running {int} NOT NULL, step {blob} NOT NULL, members {text}, PRIMARY KEY (organization, environment, no)){strict_clustered};
CREATE TABLE spans (organization {int} NOT NULL, record {int} NOT NULL, environment {int} NOT NULL, from_no {int} NOT NULL, to_no {int}, detail {blob} NOT NULL, PRIMARY KEY (organization, record, environment, from_no)){strict_clustered};
CREATE TABLE sequences (organization {int} NOT NULL, environment {int} NOT NULL, reporter {text} NOT NULL, sequence {int} NOT NULL, PRIMARY KEY (organization, environment, reporter)){strict_clustered};
CREATE TABLE subjects (organization {int} NOT NULL, subject {text} NOT NULL, entry {int} NOT NULL, PRIMARY KEY (organization, subject)){strict_clustered};

-- operational
CREATE TABLE seen (organization {int} NOT NULL, environment {int} NOT NULL, from_at {int} NOT NULL, to_at {int} NOT NULL, reports {int} NOT NULL, longest_gap {int} NOT NULL, reporter {text} NOT NULL, PRIMARY KEY (organization, environment)){strict_clustered};
