"""Studies in a database of Optuna's RDBStorage: SQLite, MySQL or PostgreSQL.

RDBStorage itself writes when it opens a database: it makes tables that are missing and notes versions.
So the tables are read here, in one read-only transaction, with SQLAlchemy and Optuna's own description
of them. A database of another version than the installed Optuna's is neither upgraded nor guessed at.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from ...errors import DamagedData, InvalidInput, ServerUnavailable, UsageError
from ...optional import first_line
from ...wording import quoted
from ..whole_trial import distribution_of
from .found import ForeignStudy, Found

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row, Table

BACKENDS: Final = {
    "sqlite": "BEGIN",
    "mysql": "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    "mariadb": "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    "postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
}
"""Kind of database → how a transaction begins that sees one state and writes nothing."""

PAGE: Final = 5_000
"""Trials whose rows are in memory at a time."""


class Database:
    """A database that is named by SQLAlchemy's URL of it, and only read."""

    def __init__(self, url: str) -> None:
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError

        try:
            self._url = make_url(url)
        except (ArgumentError, ValueError):
            raise UsageError(
                "the URL of the database does not parse: sqlite:///FILE, or …://user:password@host/name"
            ) from None
        self._kind = self._url.get_backend_name()
        if self._kind not in BACKENDS:
            raise UsageError(f"studies are read from {', '.join(BACKENDS)}, not from {quoted(self._kind)}")
        options = {
            name: "***" if "pass" in name.lower() else value for name, value in self._url.query.items()
        }
        self.shown = self._url.set(query=options).render_as_string(hide_password=True)
        if self._kind == "sqlite":
            self.shown = f"sqlite:///{self._use_file(self._url.database)}"

    def _use_file(self, name: str | None) -> Path:
        """Let the URL open a file only to read it. Raises InvalidInput if there is none: SQLite would make it."""
        path = Path(name or "").absolute()
        if not name or not path.is_file():
            raise InvalidInput(f"there is no file {quoted(name or '')} of SQLite")
        query = {**self._url.query, "mode": "ro", "uri": "true"}
        self._url = self._url.set(database=f"file:{quote(str(path))}", query=query)
        return path

    def read(self, *, skip_holes: bool = False, name: str | None = None) -> Found:  # it has none
        """All studies of the database, or the one of a name, as they were at one moment.

        Raises InvalidInput if it is no database of RDBStorage, or one of another version;
        ServerUnavailable if it cannot be reached; UsageError if SQLAlchemy lacks its driver;
        DamagedData if its rows make no sense.
        """
        from optuna.storages._rdb import models
        from sqlalchemy import select

        study, direction = models.StudyModel.__table__, models.StudyDirectionModel.__table__
        studies: dict[int, ForeignStudy] = {}
        with self._reading() as connection:
            self._check_version(connection)
            for row in connection.execute(select(study).order_by(study.c.study_id)):
                if name is None or row.study_name == name:
                    studies[row.study_id] = ForeignStudy(name=row.study_name, directions=[])
            for row in connection.execute(
                select(direction).order_by(direction.c.study_id, direction.c.objective)
            ):
                if row.study_id in studies:
                    studies[row.study_id].directions.append(StudyDirection(row.direction))
            for table, attributes in (
                (models.StudyUserAttributeModel.__table__, "user_attrs"),
                (models.StudySystemAttributeModel.__table__, "system_attrs"),
            ):
                for row in connection.execute(select(table)):
                    if row.study_id in studies:
                        getattr(studies[row.study_id], attributes)[row.key] = json.loads(row.value_json)
            for study_id, found in studies.items():
                found.trials = sorted(_trials(connection, study_id), key=lambda trial: trial.number)
        return Found(studies=list(studies.values()), notes=[])

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """A connection within one read-only transaction."""
        from sqlalchemy import create_engine
        from sqlalchemy.exc import DatabaseError, InterfaceError, NoSuchModuleError, OperationalError

        try:
            engine = create_engine(self._url, isolation_level="AUTOCOMMIT")
        except (ImportError, NoSuchModuleError) as error:
            raise UsageError(f"SQLAlchemy lacks the driver for {self.shown}: {first_line(error)}") from error
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql(BACKENDS[self._kind])
                yield connection
                connection.exec_driver_sql("ROLLBACK")
        except (OperationalError, InterfaceError) as error:
            kind = InvalidInput if self._kind == "sqlite" else ServerUnavailable
            raise kind(f"cannot read {self.shown}: {first_line(error)}") from error
        except DatabaseError as error:
            raise InvalidInput(f"cannot read {self.shown}: {first_line(error)}") from error
        except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError) as error:
            raise DamagedData(
                f"the rows of {self.shown} are not as Optuna writes them: {first_line(error)}"
            ) from error
        finally:
            engine.dispose()

    def _check_version(self, connection: Connection) -> None:
        """Raises InvalidInput unless the tables are there, in the version of the installed Optuna."""
        from sqlalchemy import inspect

        if not {"studies", "trials", "alembic_version"} <= set(inspect(connection).get_table_names()):
            raise InvalidInput(f"{self.shown} is no database of Optuna's RDBStorage, or older than Optuna 1")
        version = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
        known = _known_versions()
        if version == known[0]:
            return
        if version in known:
            cure = "upgrade a copy of it by `optuna storage upgrade`, and migrate the copy"
        else:
            cure = "a newer Optuna wrote it, so install that one"
        raise InvalidInput(
            f"{self.shown} has the tables of version {quoted(version)}, and {known[0]} is read: {cure}"
        )


def _known_versions() -> list[str]:
    """The versions of tables that the installed Optuna knows, the newest first."""
    from alembic.script import ScriptDirectory

    with as_file(files("optuna.storages._rdb") / "alembic") as directory:
        return [script.revision for script in ScriptDirectory(str(directory)).walk_revisions()]


def _trials(connection: Connection, study_id: int) -> Iterator[FrozenTrial]:
    from optuna.storages._rdb import models
    from sqlalchemy import select

    trial = models.TrialModel.__table__
    columns = (
        trial.c.trial_id,
        trial.c.number,
        trial.c.state,
        trial.c.datetime_start,
        trial.c.datetime_complete,
    )
    page = select(*columns).where(trial.c.study_id == study_id).order_by(trial.c.trial_id).limit(PAGE)
    last = -1
    while rows := connection.execute(page.where(trial.c.trial_id > last)).all():
        begin, last = rows[0].trial_id, rows[-1].trial_id

        def of(model: Any, order: str, span: tuple[int, int] = (begin, last)) -> dict[int, list[Row[Any]]]:
            """Id of a trial → its rows in another table."""
            table: Table = model.__table__
            query = (
                select(table)
                .join(trial, trial.c.trial_id == table.c.trial_id)
                .where(trial.c.study_id == study_id, table.c.trial_id.between(*span))
                .order_by(table.c[order])
            )
            found = defaultdict(list)
            for row in connection.execute(query):
                found[row.trial_id].append(row)
            return found

        params = of(models.TrialParamModel, "param_id")
        values = of(models.TrialValueModel, "objective")
        reports = of(models.TrialIntermediateValueModel, "step")
        user = of(models.TrialUserAttributeModel, "trial_user_attribute_id")
        system = of(models.TrialSystemAttributeModel, "trial_system_attribute_id")
        for row in rows:
            id_ = row.trial_id
            distributions = {each.param_name: distribution_of(each.distribution_json) for each in params[id_]}
            yield FrozenTrial(
                number=row.number,
                state=row.state,
                value=None,
                values=[
                    models.TrialValueModel.stored_repr_to_value(each.value, each.value_type)
                    for each in values[id_]
                ]
                or None,
                datetime_start=_local(row.datetime_start),
                datetime_complete=_local(row.datetime_complete),
                params={
                    each.param_name: distributions[each.param_name].to_external_repr(each.param_value)
                    for each in params[id_]
                },
                distributions=distributions,
                user_attrs={each.key: json.loads(each.value_json) for each in user[id_]},
                system_attrs={each.key: json.loads(each.value_json) for each in system[id_]},
                intermediate_values={
                    each.step: models.TrialIntermediateValueModel.stored_repr_to_intermediate_value(
                        each.intermediate_value, each.intermediate_value_type
                    )
                    for each in reports[id_]
                },
                trial_id=id_,
            )


def _local(time: datetime | None) -> datetime | None:
    """A time as the installed Optuna reads it: since Optuna 5 the tables hold UTC, before they held local times."""
    from optuna.storages._rdb import models

    if time is None or not hasattr(models.TrialModel, "_datetime_start_utc"):
        return time
    return time.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
