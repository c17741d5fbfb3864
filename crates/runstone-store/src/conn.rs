//! One connection to either engine, with the few operations the store needs.
//!
//! On SQLite the futures are ready at once; on PostgreSQL they wait for the network.

use std::collections::HashMap;
use std::sync::Arc;

use runstone_model::fact::{EnvironmentNo, OrganizationNo, Seen};
use runstone_model::id::Micros;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::dialect::{Dialect, END_SPAN, SET_ENTRY, at_once};
use crate::table::{Kind, Table};
use crate::tls::{ConnectError, Target};
use crate::value::{DbError, Record, Value};

/// How a transaction begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// One unchanging view of everything.
    Read,
    /// The only writer on SQLite; row locks follow on PostgreSQL.
    Write,
}

/// A connection.
pub(crate) enum Conn {
    Sqlite(rusqlite::Connection),
    Postgres(Postgres),
}

/// A connection to PostgreSQL with its prepared statements.
pub(crate) struct Postgres {
    client: tokio_postgres::Client,
    prepared: HashMap<String, tokio_postgres::Statement>,
}

impl Postgres {
    /// Connects and sets the limits that keep a stuck server from holding locks (D15).
    pub(crate) async fn connect(url: &str) -> Result<Self, DbError> {
        let mut target = Target::parse(url).map_err(unconnected)?;
        let config = &mut target.config;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(std::time::Duration::from_secs(3));
        }
        config
            .keepalives(true)
            .keepalives_idle(std::time::Duration::from_secs(5))
            .keepalives_interval(std::time::Duration::from_secs(2))
            .keepalives_retries(3)
            .tcp_user_timeout(std::time::Duration::from_secs(10));
        let client = target.connect().await.map_err(unconnected)?;
        let this = Self {
            client,
            prepared: HashMap::new(),
        };
        this.client
            .batch_execute(
                "SET idle_in_transaction_session_timeout = '5s'; SET lock_timeout = '8s'; \
                 SET statement_timeout = '30s'; SET timezone = 'UTC'; \
                 SET plan_cache_mode = force_generic_plan",
            )
            .await
            .map_err(|error| Dialect::postgres_error(&error))?;
        Ok(this)
    }

    async fn prepare(&mut self, sql: &str) -> Result<tokio_postgres::Statement, DbError> {
        if let Some(statement) = self.prepared.get(sql) {
            return Ok(statement.clone());
        }
        let text = Dialect::Postgres.statement(sql);
        let statement = self
            .client
            .prepare(&text)
            .await
            .map_err(|error| Dialect::postgres_error(&error))?;
        self.prepared.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Begins a transaction, locks the heads of the named logs in the order of their numbers, and
    /// reads the clock behind the locks: one exchange (D10, D15). The server's own log is locked
    /// only when `server`, but its size is always told.
    pub(crate) async fn lock_heads(
        &mut self,
        names: &[&str],
        server: bool,
    ) -> Result<Locked, DbError> {
        let heads = self.prepare(LOCK_HEADS).await?;
        let clock = self.prepare(CLOCK_AND_SERVER).await?;
        let first = i64::from(!server);
        let (begun, heads, clock) = tokio::join!(
            self.client
                .batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED"),
            async {
                self.client
                    .query(&heads, &[&first, &names])
                    .await
                    .map_err(|error| Dialect::postgres_error(&error))?
                    .iter()
                    .map(record)
                    .collect::<Result<Vec<_>, _>>()
            },
            async {
                let row = self
                    .client
                    .query_one(&clock, &[])
                    .await
                    .map_err(|error| Dialect::postgres_error(&error))?;
                record(&row)
            },
        );
        begun.map_err(|error| Dialect::postgres_error(&error))?;
        let clock = clock?;
        Ok(Locked {
            now: Micros(clock.int(0)?),
            server: clock.optional_int(1)?.unwrap_or(0) as u64,
            sizes: heads?
                .iter()
                .map(|row| Ok((OrganizationNo(row.ordinal(0)?), row.number(1)?)))
                .collect::<Result<_, DbError>>()?,
        })
    }

    /// Writes rows of several tables by one statement, under the conditions of `guard`, and tells
    /// the database's clock.
    async fn write(&mut self, batch: &Batch<'_>, guard: Option<&Guard>) -> Result<Micros, DbError> {
        let key = batch
            .tables
            .iter()
            .map(|(table, _)| table.name)
            .chain((!batch.ends.is_empty()).then_some("ends"))
            .chain((!batch.entries.is_empty()).then_some("entry"))
            .chain(guard.map(|_| "guard"))
            .collect::<Vec<_>>()
            .join(",");
        let statement = match self.prepared.get(&key) {
            Some(statement) => statement.clone(),
            None => {
                let tables: Vec<_> = batch.tables.iter().map(|(table, _)| *table).collect();
                let text = at_once(
                    &tables,
                    !batch.ends.is_empty(),
                    !batch.entries.is_empty(),
                    guard.is_some(),
                );
                let statement = self
                    .client
                    .prepare(&text)
                    .await
                    .map_err(|error| Dialect::postgres_error(&error))?;
                self.prepared.insert(key, statement.clone());
                statement
            }
        };
        let mut columns: Vec<Column> = Vec::new();
        for (table, rows) in batch.tables {
            for (position, (_, kind)) in table.columns.iter().enumerate() {
                columns.push(Column::of(*kind, position, rows));
            }
        }
        if !batch.ends.is_empty() {
            for position in 0..5 {
                columns.push(Column::of(Kind::Int, position, batch.ends));
            }
        }
        if !batch.entries.is_empty() {
            for position in 0..3 {
                columns.push(Column::of(Kind::Int, position, batch.entries));
            }
        }
        let guards = guard.map(Guard::columns).unwrap_or_default();
        columns.extend(guards.into_iter().map(Column::Int));
        let parameters: Vec<&(dyn ToSql + Sync)> =
            columns.iter().map(Column::as_parameter).collect();
        let row = self
            .client
            .query_one(&statement, &parameters)
            .await
            .map_err(|error| match error.code().map(SqlState::code) {
                // The guard divides by zero; an entry may already stand at the position.
                Some("22012" | "23505") if guard.is_some() => {
                    DbError::Race("another server wrote".to_owned())
                }
                _ => Dialect::postgres_error(&error),
            })?;
        record(&row)?.int(0).map(Micros)
    }

    /// Lifts the limit on one statement's time, for long administrative work.
    pub(crate) async fn unlimited(&self) -> Result<(), DbError> {
        self.client
            .batch_execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")
            .await
            .map_err(|error| Dialect::postgres_error(&error))
    }
}

fn unconnected(error: ConnectError) -> DbError {
    let error = match error {
        ConnectError::Database(error) => error,
        ConnectError::Settings(text) => return DbError::Other(text),
        // Certificates are renewed and servers set right while we run.
        told @ ConnectError::Unsafe { .. } => return DbError::Unavailable(told.to_string()),
    };
    match Dialect::postgres_error(&error) {
        DbError::Lost(text) => {
            let cause = std::error::Error::source(&error)
                .map(|cause| format!(": {cause}"))
                .unwrap_or_default();
            DbError::Unavailable(format!("{text}{cause}"))
        }
        other => other,
    }
}

const LOCK_HEADS: &str = "SELECT organization, size FROM heads WHERE organization >= $1 AND (organization = 0 OR organization IN (SELECT no FROM organizations WHERE name = ANY($2::text[]))) ORDER BY organization FOR UPDATE";
const CLOCK_AND_SERVER: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, (SELECT size FROM heads WHERE organization = 0)";

/// Locked logs.
pub(crate) struct Locked {
    /// The database's clock once the locks were held.
    pub(crate) now: Micros,
    /// Size of the server's log.
    pub(crate) server: u64,
    /// Sizes of the locked ones.
    pub(crate) sizes: Vec<(OrganizationNo, u64)>,
}

/// Rows that are written together.
pub(crate) struct Batch<'a> {
    /// Whole rows; each key stands once in its table.
    pub(crate) tables: &'a [(&'static Table, &'a [Vec<Value>])],
    /// The last snapshot of spans and their keys.
    pub(crate) ends: &'a [Vec<Value>],
    /// The last entry of environments that are not among the rows, and their key.
    pub(crate) entries: &'a [Vec<Value>],
}

/// What must still hold when a batch is written that was decided without locks.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    /// Sizes of the logs whose facts were read.
    pub(crate) sizes: Vec<(OrganizationNo, u64)>,
    /// Observations that are written over; none = there is no row.
    pub(crate) seen: Vec<(OrganizationNo, EnvironmentNo, Option<Seen>)>,
}

impl Guard {
    /// The columns as [`at_once`] takes them: organizations and sizes, then of the observations
    /// organization, environment, latest report, number of reports.
    fn columns(&self) -> Vec<Vec<Option<i64>>> {
        let of = |value: &dyn Fn(&Seen) -> i64| {
            self.seen
                .iter()
                .map(|(_, _, seen)| seen.as_ref().map(value))
                .collect()
        };
        vec![
            self.sizes.iter().map(|(no, _)| Some(no.0.into())).collect(),
            self.sizes
                .iter()
                .map(|(_, size)| Some(*size as i64))
                .collect(),
            self.seen
                .iter()
                .map(|(no, _, _)| Some(no.0.into()))
                .collect(),
            self.seen
                .iter()
                .map(|(_, no, _)| Some(no.0.into()))
                .collect(),
            of(&|seen| seen.to.0),
            of(&|seen| seen.reports as i64),
        ]
    }
}

impl Conn {
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Runs statements without parameters.
    pub(crate) async fn batch(&mut self, sql: &str) -> Result<(), DbError> {
        match self {
            Self::Sqlite(connection) => connection
                .execute_batch(sql)
                .map_err(|error| Dialect::sqlite_error(&error)),
            Self::Postgres(postgres) => postgres
                .client
                .batch_execute(sql)
                .await
                .map_err(|error| Dialect::postgres_error(&error)),
        }
    }

    pub(crate) async fn begin(&mut self, mode: Mode) -> Result<(), DbError> {
        let sql = match (self.dialect(), mode) {
            (Dialect::Sqlite, Mode::Read) => "BEGIN",
            (Dialect::Sqlite, Mode::Write) => "BEGIN IMMEDIATE",
            (Dialect::Postgres, Mode::Read) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            (Dialect::Postgres, Mode::Write) => "BEGIN ISOLATION LEVEL READ COMMITTED",
        };
        self.control(sql).await
    }

    pub(crate) async fn commit(&mut self) -> Result<(), DbError> {
        self.control("COMMIT").await
    }

    /// Begins or ends a transaction.
    async fn control(&mut self, sql: &str) -> Result<(), DbError> {
        match self {
            // Prepared once: every batch begins and ends one.
            Self::Sqlite(connection) => connection
                .prepare_cached(sql)
                .and_then(|mut statement| statement.execute([]))
                .map(drop)
                .map_err(|error| Dialect::sqlite_error(&error)),
            Self::Postgres(_) => self.batch(sql).await,
        }
    }

    /// Ends the transaction without effect; a connection that cannot is gone anyway.
    pub(crate) async fn rollback(&mut self) {
        if let Self::Sqlite(connection) = self
            && connection.is_autocommit()
        {
            return;
        }
        if let Err(error) = self.batch("ROLLBACK").await {
            tracing::debug!(%error, "rollback failed");
        }
    }

    /// Rows of a statement.
    pub(crate) async fn query(
        &mut self,
        sql: &str,
        parameters: &[Value],
    ) -> Result<Vec<Record>, DbError> {
        match self {
            Self::Sqlite(connection) => sqlite_query(connection, sql, parameters)
                .map_err(|error| Dialect::sqlite_error(&error)),
            Self::Postgres(postgres) => {
                let statement = postgres.prepare(sql).await?;
                let parameters: Vec<&(dyn ToSql + Sync)> = parameters
                    .iter()
                    .map(|value| value as &(dyn ToSql + Sync))
                    .collect();
                let rows = postgres
                    .client
                    .query(&statement, &parameters)
                    .await
                    .map_err(|error| Dialect::postgres_error(&error))?;
                rows.iter().map(record).collect()
            }
        }
    }

    /// First row of a statement.
    pub(crate) async fn query_one(
        &mut self,
        sql: &str,
        parameters: &[Value],
    ) -> Result<Option<Record>, DbError> {
        Ok(self.query(sql, parameters).await?.into_iter().next())
    }

    /// Number of rows a statement changed.
    pub(crate) async fn execute(
        &mut self,
        sql: &str,
        parameters: &[Value],
    ) -> Result<u64, DbError> {
        match self {
            Self::Sqlite(connection) => {
                let mut statement = connection
                    .prepare_cached(&Dialect::Sqlite.statement(sql))
                    .map_err(|error| Dialect::sqlite_error(&error))?;
                statement
                    .execute(rusqlite::params_from_iter(parameters.iter().map(Bound)))
                    .map(|count| count as u64)
                    .map_err(|error| Dialect::sqlite_error(&error))
            }
            Self::Postgres(postgres) => {
                let statement = postgres.prepare(sql).await?;
                let parameters: Vec<&(dyn ToSql + Sync)> = parameters
                    .iter()
                    .map(|value| value as &(dyn ToSql + Sync))
                    .collect();
                postgres
                    .client
                    .execute(&statement, &parameters)
                    .await
                    .map_err(|error| Dialect::postgres_error(&error))
            }
        }
    }

    /// Writes a batch: prepared loops on SQLite, one statement on PostgreSQL, which tells its
    /// clock. A guard is for PostgreSQL; without a transaction around it the statement is one.
    pub(crate) async fn write(
        &mut self,
        batch: &Batch<'_>,
        guard: Option<&Guard>,
    ) -> Result<Option<Micros>, DbError> {
        match self {
            Self::Sqlite(connection) => {
                for (table, rows) in batch.tables {
                    sqlite_put(connection, table.put_one(), rows)?;
                }
                if !batch.ends.is_empty() {
                    sqlite_put(connection, END_SPAN, batch.ends)?;
                }
                if !batch.entries.is_empty() {
                    sqlite_put(connection, SET_ENTRY, batch.entries)?;
                }
                Ok(None)
            }
            Self::Postgres(postgres) => postgres.write(batch, guard).await.map(Some),
        }
    }

    /// Writes whole rows, each key at most once: a prepared loop on SQLite, one statement over
    /// arrays on PostgreSQL.
    pub(crate) async fn put(
        &mut self,
        table: &'static Table,
        rows: &[Vec<Value>],
    ) -> Result<(), DbError> {
        if rows.is_empty() {
            return Ok(());
        }
        match self {
            Self::Sqlite(connection) => sqlite_put(connection, table.put_one(), rows),
            Self::Postgres(postgres) => {
                let statement = postgres.prepare(table.put_arrays()).await?;
                let columns: Vec<Column> = table
                    .columns
                    .iter()
                    .enumerate()
                    .map(|(position, (_, kind))| Column::of(*kind, position, rows))
                    .collect();
                let parameters: Vec<&(dyn ToSql + Sync)> =
                    columns.iter().map(Column::as_parameter).collect();
                postgres
                    .client
                    .execute(&statement, &parameters)
                    .await
                    .map_err(|error| Dialect::postgres_error(&error))?;
                Ok(())
            }
        }
    }
}

/// Runs one statement for each row.
fn sqlite_put(
    connection: &rusqlite::Connection,
    sql: &str,
    rows: &[Vec<Value>],
) -> Result<(), DbError> {
    let mut statement = connection
        .prepare_cached(sql)
        .map_err(|error| Dialect::sqlite_error(&error))?;
    for row in rows {
        statement
            .execute(rusqlite::params_from_iter(row.iter().map(Bound)))
            .map_err(|error| Dialect::sqlite_error(&error))?;
    }
    Ok(())
}

fn record(row: &tokio_postgres::Row) -> Result<Record, DbError> {
    (0..row.len())
        .map(|column| {
            row.try_get::<_, Value>(column)
                .map_err(|error| Dialect::postgres_error(&error))
        })
        .collect::<Result<Vec<_>, _>>()
        .map(Record)
}

fn sqlite_query(
    connection: &rusqlite::Connection,
    sql: &str,
    parameters: &[Value],
) -> Result<Vec<Record>, rusqlite::Error> {
    let mut statement = connection.prepare_cached(&Dialect::Sqlite.statement(sql))?;
    let columns = statement.column_count();
    let mut rows = statement.query(rusqlite::params_from_iter(parameters.iter().map(Bound)))?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let mut values = Vec::with_capacity(columns);
        for column in 0..columns {
            use rusqlite::types::ValueRef;
            values.push(match row.get_ref(column)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(int) => Value::Int(int),
                ValueRef::Text(text) => Value::Text(
                    std::str::from_utf8(text)
                        .map_err(|error| rusqlite::Error::Utf8Error(column, error))?
                        .to_owned(),
                ),
                ValueRef::Blob(blob) => Value::Blob(Arc::from(blob)),
                ValueRef::Real(_) => {
                    return Err(rusqlite::Error::InvalidColumnType(
                        column,
                        "a number".to_owned(),
                        rusqlite::types::Type::Real,
                    ));
                }
            });
        }
        records.push(Record(values));
    }
    Ok(records)
}

/// A value as SQLite takes it; lists go as JSON text.
struct Bound<'a>(&'a Value);

impl rusqlite::ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        use rusqlite::types::{ToSqlOutput, Value as Owned, ValueRef};
        Ok(match self.0 {
            Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Int(int) => ToSqlOutput::Borrowed(ValueRef::Integer(*int)),
            Value::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Value::Blob(blob) => ToSqlOutput::Borrowed(ValueRef::Blob(blob)),
            Value::Ints(ints) => {
                let mut text = String::with_capacity(2 + ints.len() * 6);
                text.push('[');
                for (position, int) in ints.iter().enumerate() {
                    if position > 0 {
                        text.push(',');
                    }
                    text.push_str(&int.to_string());
                }
                text.push(']');
                ToSqlOutput::Owned(Owned::Text(text))
            }
        })
    }
}

impl ToSql for Value {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut tokio_postgres::types::private::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(int) if *kind == Type::INT4 => i32::try_from(*int)?.to_sql(kind, out),
            Self::Int(int) => int.to_sql(kind, out),
            Self::Text(text) => text.to_sql(kind, out),
            Self::Blob(blob) => blob.as_ref().to_sql(kind, out),
            Self::Ints(ints) => ints.to_sql(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(
        kind: &Type,
        raw: &'a [u8],
    ) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        match *kind {
            Type::INT8 => i64::from_sql(kind, raw).map(Self::Int),
            Type::INT4 => i32::from_sql(kind, raw).map(|int| Self::Int(int.into())),
            Type::TEXT | Type::VARCHAR | Type::NAME => String::from_sql(kind, raw).map(Self::Text),
            Type::BYTEA => Ok(Self::Blob(Arc::from(raw))),
            _ => Err(format!("unexpected column type {kind}").into()),
        }
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// One column of many rows.
enum Column<'a> {
    Int(Vec<Option<i64>>),
    Text(Vec<Option<&'a str>>),
    Blob(Vec<Option<&'a [u8]>>),
}

impl<'a> Column<'a> {
    fn of(kind: Kind, position: usize, rows: &'a [Vec<Value>]) -> Self {
        match kind {
            Kind::Int => Self::Int(
                rows.iter()
                    .map(|row| match row[position] {
                        Value::Int(int) => Some(int),
                        _ => None,
                    })
                    .collect(),
            ),
            Kind::Text => Self::Text(
                rows.iter()
                    .map(|row| match &row[position] {
                        Value::Text(text) => Some(text.as_str()),
                        _ => None,
                    })
                    .collect(),
            ),
            Kind::Blob => Self::Blob(
                rows.iter()
                    .map(|row| match &row[position] {
                        Value::Blob(blob) => Some(blob.as_ref()),
                        _ => None,
                    })
                    .collect(),
            ),
        }
    }

    fn as_parameter(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Int(column) => column,
            Self::Text(column) => column,
            Self::Blob(column) => column,
        }
    }
}
