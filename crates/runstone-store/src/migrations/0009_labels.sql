-- What artifacts are called, to point out what only has the name of a known one.

-- derived
DELETE FROM artifacts;
ALTER TABLE artifacts ADD COLUMN label {int};
CREATE INDEX artifacts_by_label ON artifacts (organization, label, flow, no, entry);
