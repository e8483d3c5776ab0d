"""Which lookups have to be made again: the ledger's question, over an index in which all that it asks for stands."""

from sqlalchemy import bindparam, or_, select

from watcher.lookup import Glance
from watcher.tables import Utc, decisions, lookups, standings

_DECIDED = (
    select(1)
    .join_from(standings, decisions, standings.c.decision == decisions.c.id)
    .where(standings.c.package == lookups.c.package, standings.c.app.in_(bindparam("apps", expanding=True)))
    .where(or_(decisions.c.at >= lookups.c.looked_at, standings.c.hit))
    .exists()
)
_NEWS = or_(bindparam("said", type_=Utc).is_(None), lookups.c.changed_at > bindparam("said", type_=Utc))
UNSPARED = select(*(lookups.c[name] for name in Glance._fields)).where(
    lookups.c.index == bindparam("index"),
    or_(
        lookups.c.spared_until.is_(None),
        lookups.c.spared_until <= bindparam("now", type_=Utc),
        lookups.c.package.in_(bindparam("moving", expanding=True)),
        _NEWS,
        _DECIDED,
    ),
)
"""The lookups of `index` that are not spared `now`, whose package is `moving`, that have changed since the index has
`said` so (None: never), or for whose package a decision of `apps` stands that is as young as they are, or about a pin
that an advisory hits: what fixes that waits for no cooldown."""
