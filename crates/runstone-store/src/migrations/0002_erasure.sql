-- Where private bodies stand and which texts are shown from them; closing and limits.
-- What is derived is written anew after this.

-- journal
ALTER TABLE heads ADD COLUMN body_bytes {int} NOT NULL DEFAULT 0;
ALTER TABLE heads ADD COLUMN paced_to {int} NOT NULL DEFAULT 0;
UPDATE heads SET body_bytes = (SELECT CAST(coalesce(sum(b.bytes_total), 0) AS {int}) FROM bodies b WHERE b.organization = heads.organization);

-- derived
ALTER TABLE counters ADD COLUMN live_environments {int} NOT NULL DEFAULT 0;
ALTER TABLE organizations ADD COLUMN closed_at {int};
ALTER TABLE organizations ADD COLUMN limits {text} NOT NULL DEFAULT '{}';
CREATE TABLE private_bodies (organization {int} NOT NULL, entry {int} NOT NULL, position {int} NOT NULL, subject {text} NOT NULL, field {text} NOT NULL, erased_by {int}, PRIMARY KEY (organization, entry, position)){strict_clustered};
CREATE TABLE texts (organization {int} NOT NULL, subject {text} NOT NULL, name {text} NOT NULL, entry {int} NOT NULL, PRIMARY KEY (organization, subject, name)){strict_clustered};
CREATE INDEX api_keys_by_id ON api_keys (id);

-- operational
CREATE TABLE unwanted_blobs (id {text} NOT NULL, digest {blob} NOT NULL, PRIMARY KEY (id, digest)){strict_clustered};
