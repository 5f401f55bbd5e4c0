//! PostgreSQL, over one connection that takes many questions at once.

use super::columns::Columns;
use super::source::Failure;
use super::stored::Stored;
use super::tls::Tls;
use rustls::ClientConfig;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

/// See the module.
pub(super) struct Postgres {
    config: Config,
    tls: Option<ClientConfig>,
    columns: Columns,
    query: String,
    /// WHY a lock: tasks of this lane's one thread share it; it is never contended nor held over an await.
    connection: Mutex<Option<Arc<Connection>>>,
    /// Held over an await, so that one task connects and the others wait for it.
    connecting: tokio::sync::Mutex<()>,
}

struct Connection {
    client: Client,
    statement: Statement,
}

impl Postgres {
    /// # Errors
    /// The connection string or the authorities cannot be read.
    pub(super) fn new(connection: &str, tls: &Tls, columns: &Columns) -> Result<Self, String> {
        let mut config: Config = connection.parse().map_err(|error: tokio_postgres::Error| error.to_string())?;
        let tls = tls.client()?;
        if tls.is_some() {
            config.ssl_mode(SslMode::Require);
        }
        let query = columns.query(|number| format!("${number}"));
        Ok(Postgres {
            config,
            tls,
            columns: columns.clone(),
            query,
            connection: Mutex::default(),
            connecting: <_>::default(),
        })
    }

    pub(super) fn has_passwords(&self) -> bool {
        self.columns.has_passwords()
    }

    /// The account, if there is one.
    pub(super) async fn find(&self, user: &str, domain: &str) -> Result<Option<Stored>, Failure> {
        let connection = self.connect().await?;
        let mut doubt = Doubt { postgres: self, holds: true };
        let row = if self.columns.domain.is_empty() {
            connection.client.query_opt(&connection.statement, &[&user]).await?
        } else {
            connection.client.query_opt(&connection.statement, &[&user, &domain]).await?
        };
        doubt.holds = false;
        let Some(row) = row else { return Ok(None) };
        let values = (0..row.len()).map(|column| row.try_get::<_, Option<String>>(column));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        self.columns.stored(&values).map(Some).map_err(Failure)
    }

    async fn connect(&self) -> Result<Arc<Connection>, Failure> {
        if let Some(connection) = self.alive() {
            return Ok(connection);
        }
        let _one = self.connecting.lock().await;
        if let Some(connection) = self.alive() {
            return Ok(connection);
        }
        let client = match &self.tls {
            None => {
                let (client, driver) = self.config.connect(NoTls).await?;
                tokio::spawn(driver);
                client
            }
            Some(tls) => {
                let (client, driver) = self.config.connect(MakeRustlsConnect::new(tls.clone())).await?;
                tokio::spawn(driver);
                client
            }
        };
        let statement = client.prepare(&self.query).await?;
        let connection = Arc::new(Connection { client, statement });
        self.put(Some(Arc::clone(&connection)));
        Ok(connection)
    }

    fn alive(&self) -> Option<Arc<Connection>> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        connection.as_ref().filter(|connection| !connection.client.is_closed()).map(Arc::clone)
    }

    fn put(&self, connection: Option<Arc<Connection>>) {
        *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = connection;
    }
}

/// Gives a connection up that did not answer: a question whose deadline passes is dropped, and this with it.
struct Doubt<'p> {
    postgres: &'p Postgres,
    holds: bool,
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        if self.holds {
            self.postgres.put(None);
        }
    }
}
