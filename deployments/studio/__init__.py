"""The studio: pages for people, rendered on the server from what the API answers."""

from deployments.studio import (
    audience,
    audit,
    best_times,
    compare,
    counting,
    experiments,
    imports,
    live,
    missing,
    models,
    next_steps,
    plan,
    record,
    settings,
    shell,
    templates,
    track_record,
    write,
)

# Each with its pages.
STUDIO = (
    *(shell, write, counting, next_steps, compare, plan, experiments, templates),
    *(record, imports, best_times, audience, track_record, live, audit, models, settings),
    # Last: it takes any path.
    missing,
)
