-- The last engagement of the units that are there, where it matters: the first is before every impression so far.
-- A transaction of its own, which locks these rows alone, and in the order in which every writer does.

WITH early AS MATERIALIZED (
    SELECT experiment_id, variant, unit FROM experiment_units
    WHERE engaged_at < coalesce(exposed_at, 'infinity')
    ORDER BY experiment_id, variant, unit
    FOR UPDATE
), told AS (
    SELECT experiment_id, variant, unit, max(at) AS last_engaged_at
    FROM early JOIN experiment_events USING (experiment_id, variant, unit)
    WHERE engagement
    GROUP BY experiment_id, variant, unit
)
UPDATE experiment_units AS units SET last_engaged_at = greatest(units.last_engaged_at, told.last_engaged_at)
FROM told
WHERE (units.experiment_id, units.variant, units.unit) = (told.experiment_id, told.variant, told.unit);
