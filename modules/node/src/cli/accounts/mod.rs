//! `tandem accounts`: the embedded database of accounts, on the file itself; a running Tandem is told afterwards.
//!
//! A password is asked for without echo, twice, or comes as one line of standard input. It becomes HA1s and is gone.

mod ask;
pub(super) mod lacking;
mod list;

use super::{Connection, Exit, client};
use crate::accounts::Stored;
use crate::accounts::import::{self, Defaults};
use crate::accounts::store::Store;
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};
use tuning::Environment;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

/// Which database.
#[derive(Args, Debug)]
struct Place {
    /// The database.
    #[arg(long, value_name = "FILE", global = true, conflicts_with = "config")]
    database: Option<PathBuf>,
    /// The configuration that names it: `accounts = { sqlite = "..." }` of its domain.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// The domain [default: the configuration's, if it has one alone].
    #[arg(long, global = true)]
    domain: Option<String>,
    /// The realm that passwords are hashed for [default: that of the configuration, else the domain].
    #[arg(long, global = true)]
    realm: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add an account, or give it another password, which is asked for.
    Add {
        /// The user.
        username: String,
    },
    /// Remove an account.
    Remove {
        /// The user.
        username: String,
    },
    /// List accounts, and what their hashes cannot serve.
    List,
    /// Import a CSV file with a header line, or a dump of Kamailio's `subscriber` (mysqldump, pg_dump).
    Import {
        /// The file.
        file: PathBuf,
    },
}

/// What the command works on.
struct Target {
    database: PathBuf,
    domain: Option<String>,
    realm: Option<String>,
    /// What the domain offers, where a configuration says it.
    offered: Vec<modules::authentication::algorithm::Algorithm>,
}

pub(super) fn accounts(arguments: &Arguments) -> Exit {
    match run(arguments) {
        Ok(said) => client::print(&said),
        Err(Failure(exit, why)) => {
            eprintln!("tandem: {why}");
            exit
        }
    }
}

struct Failure(Exit, String);

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Failure(Exit::Failed, why)
    }
}

fn run(arguments: &Arguments) -> Result<String, Failure> {
    let target = target(&arguments.place)?;
    let named = |error: rusqlite::Error| format!("{}: {error}", target.database.display());
    let said = match &arguments.command {
        Command::List => {
            let store = Store::open_to_read(&target.database)?;
            return Ok(list::list(&store, target.domain.as_deref(), &target.offered, arguments.connection.format)?);
        }
        Command::Add { username } => {
            let domain = target.domain()?;
            let realm = target.realm.as_deref().unwrap_or(domain);
            valid(username)?;
            let password = ask::password(&format!("{username}@{domain}"))?;
            let stored = Stored::of_password(username, domain, realm, &password);
            let replaced = Store::open(&target.database)?.put([(domain, username.as_str(), &stored)]).map_err(named)?;
            format!("{username}@{domain} {}\n", if replaced > 0 { "has another password" } else { "added" })
        }
        Command::Remove { username } => {
            let domain = target.domain()?;
            if !Store::open(&target.database)?.remove(domain, username).map_err(named)? {
                return Err(format!("there is no {username}@{domain}").into());
            }
            format!("{username}@{domain} removed\n")
        }
        Command::Import { file } => {
            let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
            let defaults = Defaults { domain: target.domain.as_deref(), realm: target.realm.as_deref() };
            let accounts = import::read(&text, defaults).map_err(|why| format!("{}: {why}", file.display()))?;
            let rows = accounts.iter().map(|one| (one.domain.as_str(), one.username.as_str(), &one.stored));
            let replaced = Store::open(&target.database)?.put(rows).map_err(named)?;
            let mut said = format!("{} accounts, {replaced} of them known before\n", accounts.len());
            said.push_str(&lacking::sentence(
                accounts.iter().map(|one| (one.username.as_str(), &one.stored)),
                &target.offered,
            ));
            said
        }
    };
    tell_running(&arguments.connection);
    Ok(said)
}

/// A user part that can stand in a URI and a header as it is.
fn valid(username: &str) -> Result<(), Failure> {
    let fits = !username.is_empty()
        && username.len() <= limits::USER_BYTES_MAX
        && username.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\@:<>".contains(&byte));
    if fits {
        Ok(())
    } else {
        Err(Failure(Exit::Usage, format!("`{username}` is no user name: visible ASCII without \" \\ @ : < >")))
    }
}

/// A running Tandem forgets what it remembers of accounts. There may be none.
fn tell_running(connection: &Connection) {
    let _ = client::call(connection, "accounts.forget", &serde_json::json!({}));
}

impl Target {
    fn domain(&self) -> Result<&str, Failure> {
        let missing = || Failure(Exit::Usage, "name the domain: --domain example.com".into());
        self.domain.as_deref().ok_or_else(missing)
    }
}

fn target(place: &Place) -> Result<Target, Failure> {
    let (domain, realm) = (place.domain.clone(), place.realm.clone());
    match (&place.database, &place.config) {
        (Some(database), _) => Ok(Target { database: database.clone(), domain, realm, offered: Vec::new() }),
        (None, Some(config)) => configured(config, domain, realm),
        (None, None) => Err(Failure(Exit::Usage, "name the database: --database FILE, or --config FILE".into())),
    }
}

fn configured(path: &Path, domain: Option<String>, realm: Option<String>) -> Result<Target, Failure> {
    let loaded = tuning::load_against(path, &Environment::unknown())
        .map_err(|diagnostics| Failure(Exit::BadConfiguration, diagnostics.render(false)))?;
    let embedded = loaded.config.domains.iter().filter_map(|one| Some((one, one.accounts.as_ref()?.sqlite.clone()?)));
    let mut fitting = embedded
        .filter(|(one, _)| domain.as_ref().is_none_or(|wanted| one.name.to_string().eq_ignore_ascii_case(wanted)));
    let Some((found, database)) = fitting.next() else {
        return Err(Failure(
            Exit::Usage,
            format!("{}: no such domain has accounts = {{ sqlite = ... }}", path.display()),
        ));
    };
    if fitting.next().is_some() {
        return Err(Failure(Exit::Usage, "the configuration has several such domains: name one with --domain".into()));
    }
    Ok(Target {
        database,
        domain: Some(found.name.to_string()),
        realm: realm.or_else(|| found.realm.clone()),
        offered: found.algorithms.iter().map(|one| modules::authentication::realms::algorithm(*one)).collect(),
    })
}
