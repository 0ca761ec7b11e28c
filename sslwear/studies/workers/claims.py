"""Who does what: rows in Optuna's database that give one process at a time the right to do something.

A right is a name, such as that of a pre-training. The process that has it renews its row again and again. When it has
ended, or has not renewed the row for a while, another process may take the right over. Times are those of the database,
so that the clocks of machines may differ.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from sslwear.tracking.retry import patient

CLAIMS = sa.Table(
    "sslwear_claims",
    sa.MetaData(),
    sa.Column("name", sa.String(500), primary_key=True),
    sa.Column("owner", sa.String(500), nullable=False),
    sa.Column("beat", sa.Double, nullable=False),
)
CLOCKS = {
    "sqlite": "(julianday('now') - 2440587.5) * 86400.0",
    "postgresql": "extract(epoch from clock_timestamp())",
    "mysql": "unix_timestamp(now(6))",
    "mssql": "datediff_big(millisecond, '1970-01-01', sysutcdatetime()) / 1000.0",
}
"""Seconds since 1970 by the clock of each kind of database."""


@patient
def create_table(engine: sa.Engine, table: sa.Table) -> None:
    """Create a table unless it exists."""
    if not sa.inspect(engine).has_table(table.name):
        try:
            table.create(engine)
        except SQLAlchemyError:  # another process has just created it
            if not sa.inspect(engine).has_table(table.name):
                raise


class Claims:
    """Rights of a process.

    Args:
        engine: of Optuna's database; the table is created if it does not exist.
        owner: name of the process.
        is_gone: whether a process has ended or is silent for too long, given its name and the seconds since it renewed
            its rows.
    """

    def __init__(self, engine: sa.Engine, owner: str, is_gone: Callable[[str, float], bool]) -> None:
        self.owner = owner
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._is_gone = is_gone
        self._now: sa.TextClause = sa.text(CLOCKS[engine.dialect.name])
        self._held: set[str] = set()  # without those that could not be given back because the database was away
        create_table(self._engine, CLAIMS)

    @patient
    def take(self, name: str) -> bool:
        """Take a right that nobody has, or whose owner is gone; returns whether this process has it now."""
        if mine := self._take(name):
            self._held.add(name)
        return mine

    def _take(self, name: str) -> bool:
        with self._engine.connect() as connection:
            row = connection.execute(self._rows().where(CLAIMS.c.name == name)).first()
            if row is None:
                new = sa.insert(CLAIMS).from_select(
                    ["name", "owner", "beat"],
                    sa.select(sa.literal(name), sa.literal(self.owner), self._now).where(
                        ~sa.exists().where(CLAIMS.c.name == name)
                    ),
                )
                counting = {"preserve_rowcount": True}  # of an INSERT it is not kept for every database
                try:
                    return connection.execute(new, execution_options=counting).rowcount == 1
                except IntegrityError:  # another process was faster
                    return False
            if row.owner != self.owner and not self._is_gone(row.owner, row.age):
                return False
            over = sa.update(CLAIMS).where(CLAIMS.c.name == name, CLAIMS.c.owner == row.owner)
            return connection.execute(over.values(owner=self.owner, beat=self._now)).rowcount == 1

    @patient
    def has(self, name: str) -> bool:
        """Whether this process has a right, which it took, and nobody took it over."""
        with self._engine.connect() as connection:
            row = connection.execute(self._rows().where(CLAIMS.c.name == name)).first()
        return row is not None and row.owner == self.owner

    @patient
    def release(self, name: str) -> bool:
        """Give a right back; returns False if another process took it over meanwhile."""
        self._held.discard(name)
        with self._engine.connect() as connection:
            mine = (CLAIMS.c.name == name) & (CLAIMS.c.owner == self.owner)
            return connection.execute(sa.delete(CLAIMS).where(mine)).rowcount == 1

    def renew(self) -> float:
        """Renew the rows of this process; returns the seconds since it last did."""
        mine = (CLAIMS.c.owner == self.owner) & CLAIMS.c.name.in_(tuple(self._held))
        with self._engine.connect() as connection:
            ages = [row.age for row in connection.execute(self._rows().where(mine))]
            connection.execute(sa.update(CLAIMS).where(mine).values(beat=self._now))
        return max(ages, default=0.0)

    @patient
    def others(self, prefix: str, gone: bool = False) -> dict[str, str]:
        """Other processes that have a right whose name starts with something, by the right's name.

        Args:
            prefix: start of the names.
            gone: whether to return those that are gone, instead of those that are not.
        """
        with self._engine.connect() as connection:
            rows = connection.execute(self._rows().where(CLAIMS.c.name.startswith(prefix, autoescape=True))).all()
        return {
            row.name: row.owner
            for row in rows
            if row.name.startswith(prefix)  # some databases do not tell capital letters from others
            and row.owner != self.owner
            and self._is_gone(row.owner, row.age) is gone
        }

    @patient
    def forget(self, name: str, owner: str) -> None:
        """Delete the right of a process that is gone."""
        with self._engine.connect() as connection:
            theirs = (CLAIMS.c.name == name) & (CLAIMS.c.owner == owner)
            connection.execute(sa.delete(CLAIMS).where(theirs))

    def _rows(self) -> sa.Select[tuple[str, str, float]]:
        age = sa.literal_column(f"{CLOCKS[self._engine.dialect.name]} - beat", sa.Double).label("age")
        return sa.select(CLAIMS.c.name, CLAIMS.c.owner, age)
