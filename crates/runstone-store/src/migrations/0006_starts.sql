-- Which artifact started to run where and when, and what was built when. What is
-- derived is written anew after this.

-- derived
CREATE TABLE starts (organization {int} NOT NULL, at {int} NOT NULL, environment {int} NOT NULL, snapshot {int} NOT NULL, record {int} NOT NULL, PRIMARY KEY (organization, at, environment, snapshot, record)){strict_clustered};
CREATE INDEX artifacts_by_time ON artifacts (organization, at, no);
