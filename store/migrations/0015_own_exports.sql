-- The CSV that /metrics/export writes can be brought in again: its readings keep the source that they had.
ALTER TABLE imports
    DROP CONSTRAINT imports_source_check,
    ADD CONSTRAINT imports_source_check
        CHECK (source IN ('tweet_activity', 'content', 'overview', 'video', 'archive', 'x_api', 'ga4', 'export'));
