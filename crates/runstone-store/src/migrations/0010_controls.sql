-- Custom types of attestation, controls, and what was decided about them. What is derived is
-- written anew after this, because decisions were recorded before.

-- derived
CREATE TABLE custom_types (organization {int} NOT NULL, no {int} NOT NULL, name {text} NOT NULL, description {text}, versions {int} NOT NULL, created_by {text} NOT NULL, created_at {int} NOT NULL, modified_at {int} NOT NULL, archived_at {int}, PRIMARY KEY (organization, no)){strict_clustered};
CREATE UNIQUE INDEX custom_types_by_name ON custom_types (organization, name);
CREATE TABLE type_versions (organization {int} NOT NULL, custom_type {int} NOT NULL, version {int} NOT NULL, entry {int} NOT NULL, comment {int}, author {text} NOT NULL, at {int} NOT NULL, PRIMARY KEY (organization, custom_type, version)){strict_clustered};
CREATE TABLE controls (organization {int} NOT NULL, no {int} NOT NULL, identifier {text} NOT NULL, name {text} NOT NULL, description {text}, links {text} NOT NULL, version {int} NOT NULL, tags {text} NOT NULL, created_by {text} NOT NULL, created_at {int} NOT NULL, archived_at {int}, told_by {int} NOT NULL, PRIMARY KEY (organization, no)){strict_clustered};
CREATE UNIQUE INDEX controls_by_identifier ON controls (organization, identifier);
CREATE TABLE control_versions (organization {int} NOT NULL, control {int} NOT NULL, version {int} NOT NULL, entry {int} NOT NULL, author {text} NOT NULL, at {int} NOT NULL, PRIMARY KEY (organization, control, version)){strict_clustered};
CREATE TABLE decisions (organization {int} NOT NULL, control {text} NOT NULL, attestation {int} NOT NULL, version {int}, PRIMARY KEY (organization, control, attestation)){strict_clustered};
