//! Which source a domain has, and how it is asked.

use super::columns::Columns;
use super::file::AccountFile;
use super::mysql::MySql;
use super::postgres::Postgres;
use super::radius::{Radius, Servers};
use super::sqlite::Sqlite;
use super::stored::{Stored, Username};
use super::tls::Tls;
use modules::authentication::Said;
use modules::authentication::question::Query;
use std::path::PathBuf;
use std::time::Duration;
use tuning::ConnectionString;

/// A source as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceConfig {
    /// A TOML file.
    File(PathBuf),
    /// The embedded database.
    Sqlite(PathBuf),
    /// PostgreSQL: how to reach it, and what its columns are called.
    Postgres(ConnectionString, Tls, Columns),
    /// MySQL or MariaDB: the same.
    MySql(ConnectionString, Tls, Columns),
    /// RADIUS servers.
    Radius(Servers),
}

impl SourceConfig {
    /// Which kind of source it is.
    pub const fn kind(&self) -> &'static str {
        match self {
            SourceConfig::File(_) => "file",
            SourceConfig::Sqlite(_) => "sqlite",
            SourceConfig::Postgres(..) => "postgres",
            SourceConfig::MySql(..) => "mysql",
            SourceConfig::Radius(_) => "radius",
        }
    }

    /// What it is called in figures and log lines: never with a password.
    pub fn label(&self) -> String {
        match self {
            SourceConfig::File(path) => format!("file {}", path.display()),
            SourceConfig::Sqlite(path) => format!("sqlite {}", path.display()),
            SourceConfig::Postgres(connection, ..) => format!("postgres {}", connection.masked()),
            SourceConfig::MySql(connection, ..) => format!("mysql {}", connection.masked()),
            SourceConfig::Radius(servers) => format!("radius {}", servers.names.join(" ")),
        }
    }
}

/// Why a source could not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure(pub(super) String);

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        // WHY with its cause: "db error" alone helps nobody.
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        Failure(format!("{error}{cause}"))
    }
}

/// A source that can be asked.
pub(super) enum Source {
    File(AccountFile),
    Sqlite(Sqlite),
    Postgres(Box<Postgres>),
    MySql(MySql),
    Radius(Radius),
}

impl Source {
    /// Prepares to ask; connects to nothing yet.
    pub(super) fn new(config: &SourceConfig, deadline: Duration) -> Result<Self, String> {
        Ok(match config {
            SourceConfig::File(path) => Source::File(AccountFile::new(path.clone())),
            SourceConfig::Sqlite(path) => Source::Sqlite(Sqlite::new(path.clone())),
            SourceConfig::Postgres(connection, tls, columns) => {
                Source::Postgres(Box::new(Postgres::new(connection.reveal(), tls, columns)?))
            }
            SourceConfig::MySql(connection, tls, columns) => {
                Source::MySql(MySql::new(connection.reveal(), tls, columns)?)
            }
            SourceConfig::Radius(servers) => Source::Radius(Radius::new(servers, deadline)?),
        })
    }

    /// Whether it judges proofs itself: then no two questions are the same.
    pub(super) const fn judges(&self) -> bool {
        matches!(self, Source::Radius(_))
    }

    /// Asks.
    pub(super) async fn find(&self, query: &Query<'_>) -> Result<Said, Failure> {
        if let Source::Radius(radius) = self {
            return radius.judge(query).await;
        }
        let one = &query.credentials;
        let (Ok(name), Ok(domain), Ok(realm)) =
            (str::from_utf8(one.username), str::from_utf8(query.domain), str::from_utf8(one.realm))
        else {
            return Ok(Said::Unknown);
        };
        let username = Username::read(name, domain, realm);
        let (stored, by_password) = match self {
            Source::File(file) => (file.find(username.user, domain)?, false),
            Source::Sqlite(sqlite) => (sqlite.find(username.user, domain)?, false),
            Source::Postgres(postgres) => (postgres.find(username.user, domain).await?, postgres.has_passwords()),
            Source::MySql(mysql) => (mysql.find(username.user, domain).await?, mysql.has_passwords()),
            Source::Radius(_) => (None, false),
        };
        Ok(match stored {
            Some(stored) => stored.said(name, username, realm),
            None => Stored::nobody(name, realm, by_password),
        })
    }
}
