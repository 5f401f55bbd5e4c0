//! A table of PostgreSQL: made if it is not there, a row for each record, its key unique.
//!
//! ```sql
//! CREATE TABLE tandem_records (
//!   node integer, epoch bigint, sequence bigint, kind text NOT NULL, record_time timestamptz NOT NULL,
//!   record jsonb NOT NULL, PRIMARY KEY (node, epoch, sequence)
//! );
//! ```
//!
//! Several nodes may write into one table. A gap is where `sequence` jumps within a node and epoch.

use super::{Parcel, Receiver};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, Config, NoTls, Statement};

/// Longest wait for the server.
const PATIENCE: Duration = Duration::from_secs(10);

/// See the module.
pub struct Postgres {
    config: Config,
    table: String,
    runtime: Runtime,
    connection: Option<(Client, Statement)>,
}

impl Postgres {
    /// `connection` as libpq has it; `table` as SQL has it, with a schema if that matters.
    ///
    /// # Errors
    /// The connection cannot be read, or the system has no room for it.
    pub fn new(connection: &str, table: &str) -> Result<Self, String> {
        let mut config: Config = connection.parse().map_err(|error: tokio_postgres::Error| error.to_string())?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(PATIENCE);
        }
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        Ok(Postgres { config, table: table.to_owned(), runtime, connection: None })
    }
}

impl Receiver for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn deliver(&mut self, parcels: &[Parcel]) -> Result<(), String> {
        let Postgres { config, table, runtime, connection } = self;
        let known = connection.take().filter(|(client, _)| !client.is_closed());
        let delivered = runtime.block_on(async {
            tokio::time::timeout(PATIENCE, async {
                let (client, statement) = match known {
                    Some(known) => known,
                    None => connect(config, table).await?,
                };
                insert(&client, &statement, parcels).await?;
                Ok::<_, tokio_postgres::Error>((client, statement))
            })
            .await
        });
        match delivered {
            Ok(Ok(used)) => {
                *connection = Some(used);
                Ok(())
            }
            Ok(Err(error)) => Err(in_words(&error)),
            Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
        }
    }
}

/// With what the server said, which the error itself leaves out.
fn in_words(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("{error}: {}", said.message()),
        None => error.to_string(),
    }
}

async fn connect(config: &Config, table: &str) -> Result<(Client, Statement), tokio_postgres::Error> {
    let (client, driver) = config.connect(NoTls).await?;
    tokio::spawn(driver);
    let there = client.query_opt("SELECT to_regclass($1)::text WHERE to_regclass($1) IS NOT NULL", &[&table]).await?;
    if there.is_none() {
        let sql = format!(
            "CREATE TABLE IF NOT EXISTS {table} (node integer, epoch bigint, sequence bigint, kind text NOT NULL, \
             record_time timestamptz NOT NULL, record jsonb NOT NULL, PRIMARY KEY (node, epoch, sequence))"
        );
        client.batch_execute(&sql).await?;
    }
    let sql = format!(
        "INSERT INTO {table} (node, epoch, sequence, kind, record_time, record) \
         SELECT n, e, s, j->>'kind', (j->>'record_time')::timestamptz, j FROM \
         (SELECT n, e, s, r::jsonb AS j FROM unnest($1::int4[], $2::int8[], $3::int8[], $4::text[]) AS t(n, e, s, r)) AS u \
         ON CONFLICT DO NOTHING"
    );
    let statement = client.prepare(&sql).await?;
    Ok((client, statement))
}

async fn insert(client: &Client, statement: &Statement, parcels: &[Parcel]) -> Result<(), tokio_postgres::Error> {
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let nodes: Vec<i32> = parcels.iter().map(|parcel| parcel.node.into()).collect();
    let epochs: Vec<i64> = parcels.iter().map(|parcel| signed(parcel.epoch)).collect();
    let sequences: Vec<i64> = parcels.iter().map(|parcel| signed(parcel.sequence)).collect();
    let records: Vec<String> = parcels.iter().map(|parcel| parcel.record.to_string()).collect();
    client.execute(statement, &[&nodes, &epochs, &sequences, &records]).await.map(drop)
}
