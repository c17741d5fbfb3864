-- What a changed state writes stands in fewer rows and fewer bytes: identities and details are
-- read from the effects bodies that brought them. What is derived is written anew after this.

-- derived
ALTER TABLE counters DROP COLUMN records;
ALTER TABLE environments ADD COLUMN last_entry {int} NOT NULL DEFAULT 0;
DELETE FROM records;
ALTER TABLE records DROP COLUMN fingerprint;
ALTER TABLE records DROP COLUMN name;
ALTER TABLE records DROP COLUMN instances;
ALTER TABLE records ADD COLUMN entry {int};
ALTER TABLE records ADD COLUMN body_at {int};
ALTER TABLE records ADD COLUMN here {text};
DELETE FROM spans;
ALTER TABLE spans DROP COLUMN detail;
ALTER TABLE spans ADD COLUMN entry {int};
ALTER TABLE spans ADD COLUMN body_at {int};
ALTER TABLE spans ADD COLUMN detail {blob};
