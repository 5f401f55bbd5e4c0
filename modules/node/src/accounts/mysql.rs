//! MySQL and MariaDB, over a few connections.

use super::columns::Columns;
use super::source::Failure;
use super::stored::Stored;
use super::tls::Tls;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Opts, OptsBuilder, Params, Pool, PoolConstraints, PoolOpts, Row, Value};

/// Connections at the same time; each takes one question at a time.
const CONNECTIONS_MAX: usize = 8;

/// See the module.
pub(super) struct MySql {
    pool: Pool,
    columns: Columns,
    query: String,
}

impl MySql {
    /// # Errors
    /// The connection string or the authorities cannot be read.
    pub(super) fn new(connection: &str, tls: &Tls, columns: &Columns) -> Result<Self, String> {
        // WHY: a file that cannot be read is said now, not with every question.
        tls.client()?;
        let options = Opts::from_url(connection).map_err(|error| error.to_string())?;
        let bounds = PoolConstraints::new(0, CONNECTIONS_MAX).unwrap_or_default();
        let pool = PoolOpts::default().with_constraints(bounds).with_reset_connection(false);
        let pool = Pool::new(OptsBuilder::from_opts(options).pool_opts(pool).ssl_opts(tls.mysql()));
        Ok(MySql { pool, columns: columns.clone(), query: columns.query(|_| "?".to_owned()) })
    }

    pub(super) fn has_passwords(&self) -> bool {
        self.columns.has_passwords()
    }

    /// The account, if there is one.
    pub(super) async fn find(&self, user: &str, domain: &str) -> Result<Option<Stored>, Failure> {
        let mut connection = self.pool.get_conn().await?;
        let mut given = vec![Value::from(user)];
        if !self.columns.domain.is_empty() {
            given.push(Value::from(domain));
        }
        let row: Option<Row> = connection.exec_first(&self.query, Params::Positional(given)).await?;
        let Some(row) = row else { return Ok(None) };
        let values = (0..row.len()).map(|column| match row.get_opt::<Option<String>, _>(column) {
            Some(Ok(value)) => Ok(value),
            _ => Err(Failure(format!("column {} of `{}` is no text", column + 1, self.columns.table))),
        });
        let values = values.collect::<Result<Vec<_>, _>>()?;
        self.columns.stored(&values).map(Some).map_err(Failure)
    }
}
