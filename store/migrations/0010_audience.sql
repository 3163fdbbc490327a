-- What an audience of an account is, by its own outcomes; how its links did; and nothing of what nobody may infer.
-- Everything is added beside what the running release uses.

-- Whether a word, phrase or key names what X forbids to infer of people: https://docs.x.com/developer-terms/restricted-use-cases
-- The same as is_sensitive in pipelines/audience/sensitive.py.
CREATE FUNCTION names_sensitive(word TEXT) RETURNS BOOLEAN LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT ' ' || regexp_replace(lower(regexp_replace(
        regexp_replace(normalize(word, NFKD), '[\u0300-\u036f]', '', 'g'), '([a-z])([A-Z])', '\1 \2', 'g'
    )), '[^a-z0-9]+', ' ', 'g') || ' ' ~
        ' (health|healthcare|salud|illness|illnesses|disease|diseases|diagnos[a-z]*|medical|medication|medicacion'
        '|enferm[a-z]*|disab(led|ilit[a-z]*)|discapaci[a-z]*|pregnan[a-z]*|embaraz[a-z]*|diabet[a-z]*|cancer|hiv|vih|sida'
        '|autis[a-z]*|depressi[a-z]*|depresi[a-z]*|anxiety|ansiedad|epilep[a-z]*|anorexi[a-z]*|bulimi[a-z]*|dementia'
        '|demencia|schizophren[a-z]*|esquizofren[a-z]*|bipolar|obes[a-z]*|overweight|sobrepeso|adhd|tdah|infertil[a-z]*'
        '|alcoholi[a-z]*|addict[a-z]*|adicci[a-z]*|symptom[a-z]*|sintoma[a-z]*'
        '|religi[a-z]*|faith|faiths|beliefs?|creencias?|muslims?|musulman[a-z]*|islam[a-z]*|christian[a-z]*|cristian[a-z]*'
        '|catholic[a-z]*|catolic[a-z]*|protestant[a-z]*|evangelic[a-z]*|jews?|jewish|judi[oa]s?|judais[a-z]*|hindu[a-z]*'
        '|buddhis[a-z]*|budis[a-z]*|mormon[a-z]*|atheis[a-z]*|ateo|atea|ateos|sikhs?|agnostic[a-z]*'
        '|politic[a-z]*|partisan[a-z]*|ideolog[a-z]*|republican[a-z]*|democrats?|democratas?|conservatives?'
        '|conservador[a-z]*|socialis[a-z]*|communis[a-z]*|comunis[a-z]*|leftists?|izquierdistas?|derechistas?|voters?'
        '|votantes?|trade unions?|unionis[a-z]*|sindica[a-z]*'
        '|ethnic[a-z]*|etni[a-z]*|race|races|racial|raza|razas|castes?|indigenous|indigenas?|latin[oax]s?|hispanic[a-z]*'
        '|hispano[a-z]*|gitan[oa]s?|immigra[a-z]*|migrants?|inmigra[a-z]*|nationalit[a-z]*|nacionalidad[a-z]*'
        '|sex|sexo|sexual[a-z]*|orientation|orientacion|gays?|lesbian[a-z]*|bisexual[a-z]*|homosexual[a-z]*'
        '|heterosexual[a-z]*|lgbt[a-z]*|transgender[a-z]*|transexual[a-z]*|queer'
        '|bankrupt[a-z]*|bancarrota|insolven[a-z]*|debts?|deudas?|crimin[a-z]*|convict[a-z]*|delitos?|delincuen[a-z]*) '
$$;

-- Whether no key of a document, at any depth, names it, and with `strings` no text in it either. NULL is free of it.
CREATE FUNCTION is_free_of_sensitive(document JSONB, strings BOOLEAN) RETURNS BOOLEAN
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT NOT EXISTS (
        SELECT FROM jsonb_path_query(document, 'strict $.** ? (@.type() == "object").keyvalue().key') AS keys (key)
        WHERE names_sensitive(key #>> '{}')
    ) AND NOT (strings AND EXISTS (
        SELECT FROM jsonb_path_query(document, 'strict $.** ? (@.type() == "string")') AS texts (found)
        WHERE names_sensitive(found #>> '{}')
    ))
$$;

-- Whether demographics are nothing but shares of known dimensions: no other key at any depth.
CREATE FUNCTION is_aggregate(document JSONB) RETURNS BOOLEAN LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT NOT EXISTS (
        SELECT FROM jsonb_path_query(document, 'strict $.** ? (@.type() == "object").keyvalue().key') AS keys (key)
        WHERE key #>> '{}' NOT IN (
            'country', 'region', 'language', 'device', 'platform', 'follower_band', 'time_zone', 'value', 'share', 'n',
            'interval'
        )
    )
$$;

-- n posts, stability in [0, 1]; outcome is the mean percentile of the posts with its interval.
ALTER TABLE audience_analysis
    ADD COLUMN n BIGINT CHECK (n >= 0),
    ADD COLUMN share DOUBLE PRECISION CHECK (share BETWEEN 0 AND 1),
    ADD COLUMN stability DOUBLE PRECISION CHECK (stability BETWEEN 0 AND 1),
    ADD COLUMN outcome JSONB CHECK (jsonb_typeof(outcome) = 'object' AND is_free_of_sensitive(outcome, false)),
    ADD COLUMN computed_at TIMESTAMPTZ,
    DROP CONSTRAINT audience_analysis_audience_segment_check,
    DROP CONSTRAINT audience_analysis_demographics_check,
    DROP CONSTRAINT audience_analysis_interests_check,
    DROP CONSTRAINT audience_analysis_behavior_patterns_check,
    DROP CONSTRAINT audience_analysis_optimal_timing_check,
    DROP CONSTRAINT audience_analysis_content_preferences_check,
    ADD CONSTRAINT audience_analysis_audience_segment_check
        CHECK (char_length(audience_segment) BETWEEN 1 AND 255 AND NOT names_sensitive(audience_segment)),
    ADD CONSTRAINT audience_analysis_demographics_check CHECK (
        jsonb_typeof(demographics) = 'object' AND is_aggregate(demographics) AND is_free_of_sensitive(demographics, true)
    ),
    ADD CONSTRAINT audience_analysis_interests_check
        CHECK (jsonb_typeof(interests) IN ('object', 'array') AND is_free_of_sensitive(interests, true)),
    ADD CONSTRAINT audience_analysis_behavior_patterns_check
        CHECK (jsonb_typeof(behavior_patterns) = 'object' AND is_free_of_sensitive(behavior_patterns, false)),
    ADD CONSTRAINT audience_analysis_optimal_timing_check
        CHECK (jsonb_typeof(optimal_timing) = 'object' AND is_free_of_sensitive(optimal_timing, false)),
    ADD CONSTRAINT audience_analysis_content_preferences_check
        CHECK (jsonb_typeof(content_preferences) = 'object' AND is_free_of_sensitive(content_preferences, false));

-- The last refresh of an account: what it found beside the segments. refreshing_since tells that one runs; result is
-- NULL before the first has ended.
CREATE TABLE audience_refreshes (
    account_id TEXT PRIMARY KEY CHECK (char_length(account_id) BETWEEN 1 AND 128),
    refreshing_since TIMESTAMPTZ,
    result JSONB CHECK (jsonb_typeof(result) = 'object' AND is_free_of_sensitive(result, false)),
    trends JSONB CHECK (jsonb_typeof(trends) = 'object' AND is_free_of_sensitive(trends, false)),
    computed_at TIMESTAMPTZ
);

-- What Google Analytics counts of visits by a link, by its utm_content and the days that a file told of. A file that
-- says the same again changes nothing. NULL is unknown.
CREATE TABLE link_visits (
    account_id TEXT NOT NULL DEFAULT 'default' CHECK (char_length(account_id) BETWEEN 1 AND 128),
    utm_content TEXT NOT NULL CHECK (char_length(utm_content) BETWEEN 1 AND 255),
    first_day DATE NOT NULL,
    last_day DATE NOT NULL,
    sessions BIGINT NOT NULL CHECK (sessions >= 0),
    engaged_sessions BIGINT CHECK (engaged_sessions >= 0),
    key_events DOUBLE PRECISION CHECK (key_events >= 0 AND key_events < 'infinity'),
    revenue DOUBLE PRECISION CHECK (revenue > '-infinity' AND revenue < 'infinity'),
    import_id UUID NOT NULL,
    PRIMARY KEY (account_id, utm_content, first_day, last_day),
    CONSTRAINT link_visits_last_day_check CHECK (last_day >= first_day)
);
CREATE INDEX idx_link_visits_import ON link_visits (import_id);
