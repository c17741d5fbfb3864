-- So many snapshots of an environment, from the first on, were imported.

-- derived
ALTER TABLE environments ADD COLUMN imported {int} NOT NULL DEFAULT 0;
