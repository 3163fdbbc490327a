-- The last engagement of a unit: one that is not before the first impression counts, and the first alone does not tell
-- whether there is any. NULL too where a release from before this column wrote: there the first stands for it.

ALTER TABLE experiment_units ADD COLUMN last_engaged_at TIMESTAMPTZ;
