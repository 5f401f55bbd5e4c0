//! A live database of Kamailio: PostgreSQL or MariaDB. Every table that is imported is read whole, as text.

use kamailio::table::{self, Table};
use mysql_async::prelude::Queryable as _;
use std::time::Duration;
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Whether a word of the command line names a database.
pub(super) fn is_one(word: &str) -> bool {
    is_postgres(word) || is_mysql(word)
}

fn is_postgres(word: &str) -> bool {
    word.starts_with("postgres://") || word.starts_with("postgresql://")
}

fn is_mysql(word: &str) -> bool {
    word.starts_with("mysql://") || word.starts_with("mariadb://")
}

/// The tables of a database that are imported.
pub(super) fn read(connection: &str) -> Result<Vec<Table>, String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let read =
        async { if is_postgres(connection) { of_postgres(connection).await } else { of_mysql(connection).await } };
    // The connection string is not shown: it may have a password.
    let kind = if is_postgres(connection) { "PostgreSQL" } else { "MariaDB" };
    runtime.block_on(read).map_err(|why| format!("{kind}: {why}"))
}

async fn of_postgres(connection: &str) -> Result<Vec<Table>, String> {
    let said = |error: tokio_postgres::Error| match error.as_db_error() {
        Some(error) => error.to_string(),
        None => error.to_string(),
    };
    let connecting = tokio_postgres::connect(connection, NoTls);
    let (client, driver) =
        tokio::time::timeout(CONNECT, connecting).await.map_err(|_| "no answer".to_owned())?.map_err(said)?;
    let driving = tokio::spawn(driver);
    let mut tables = Vec::new();
    let there = client.simple_query(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = ANY (current_schemas(false))",
    );
    let there: Vec<String> =
        texts(&there.await.map_err(said)?).into_iter().filter_map(|mut row| row.pop().flatten()).collect();
    for name in table::known().filter(|name| there.iter().any(|one| one == name)) {
        // INVARIANT: the name is one of ours, not what somebody gave.
        let messages = client.simple_query(&format!("SELECT * FROM {name}")).await.map_err(said)?;
        let columns = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::RowDescription(columns) => {
                Some(columns.iter().map(|column| column.name().to_owned()).collect())
            }
            _ => None,
        });
        tables.push(Table { name: name.to_owned(), columns: columns.unwrap_or_default(), rows: texts(&messages) });
    }
    drop(client);
    let _ = driving.await;
    Ok(tables)
}

fn texts(messages: &[SimpleQueryMessage]) -> Vec<Vec<Option<String>>> {
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect()),
        _ => None,
    };
    messages.iter().filter_map(row).collect()
}

async fn of_mysql(connection: &str) -> Result<Vec<Table>, String> {
    let url = connection.replacen("mariadb://", "mysql://", 1);
    let options = mysql_async::Opts::from_url(&url).map_err(|error| error.to_string())?;
    let said = |error: mysql_async::Error| error.to_string();
    let connecting = mysql_async::Conn::new(options);
    let mut client =
        tokio::time::timeout(CONNECT, connecting).await.map_err(|_| "no answer".to_owned())?.map_err(said)?;
    let there: Vec<String> = client.query("SHOW TABLES").await.map_err(said)?;
    let mut tables = Vec::new();
    for name in table::known().filter(|name| there.iter().any(|one| one == name)) {
        let mut result = client.query_iter(format!("SELECT * FROM {name}")).await.map_err(said)?;
        let columns = result.columns_ref().iter().map(|column| column.name_str().into_owned()).collect();
        let rows: Vec<mysql_async::Row> = result.collect().await.map_err(said)?;
        let rows = rows.into_iter().map(|row| row.unwrap().into_iter().map(as_text).collect()).collect();
        tables.push(Table { name: name.to_owned(), columns, rows });
    }
    client.disconnect().await.map_err(said)?;
    Ok(tables)
}

/// A value as the text protocol has it: octets, or nothing.
fn as_text(value: mysql_async::Value) -> Option<String> {
    match value {
        mysql_async::Value::NULL => None,
        mysql_async::Value::Bytes(octets) => Some(String::from_utf8_lossy(&octets).into_owned()),
        other => Some(other.as_sql(true).trim_matches('\'').to_owned()),
    }
}
