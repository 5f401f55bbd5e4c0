//! `[[domain]]`: domains whose phones register here (RFC 3261 §10).

use super::BetweenPhones;
use super::authentication::{DatabaseTls, DigestAlgorithm, ForeignFrom, ProofRow, ProofUri, RadiusDialect};
use crate::read::{ConnectionString, Host, Secret, SetName, seconds};
use crate::schema::defaults;
use std::path::PathBuf;
use std::time::Duration;

section! {
    /// A domain whose phones register here. Its users are reached where they registered; everybody else in
    /// it is its media set's.
    Domain {
        /// Its name: the host of its users' addresses of record.
        live name: Host;
        /// Other hosts that mean it.
        live aliases: Vec<Host> = Vec::new();
        /// The realm that phones are challenged with.
        live realm: Option<String> = None, derived "its name";
        /// Who may register. Without it listed sources register whom they like, unasked for a password.
        live accounts: Option<Accounts> = None;
        /// Algorithms that phones are offered, in this order. Much in the field fails when SHA stands first.
        live algorithms: Vec<DigestAlgorithm> = vec![DigestAlgorithm::Md5];
        /// What becomes of a request whose From is not the account that sent it.
        live foreign_from: ForeignFrom = ForeignFrom::Refuse;
        /// Who has to prove what, where it is not as usual: the first row that matches holds.
        live proof: Vec<ProofRow> = Vec::new();
        /// How the URI in a proof is held against the Request-URI; who fails gets 400.
        live proof_uri: ProofUri = ProofUri::Alike;
        /// The set for numbers and users that are not registered here; none: they get 404 or 480.
        live media: Option<SetName> = None;
        /// Which way a call from one of its phones to another takes.
        live between_phones: BetweenPhones = BetweenPhones::Direct;
        /// A set of registrars: REGISTERs go on to it with our Path (RFC 3327), and its calls come back along it.
        live registrar: Option<SetName> = None;
        /// Contacts that one account may have; when one more comes, that which was refreshed longest ago goes.
        live contacts_max: u32 = 10, within 1 => 32;
        /// How long bindings last.
        live expires: Expires = defaults();
        /// Routes of the Service-Route header (RFC 3608) that phones are given: SIP URIs.
        live service_route: Vec<String> = Vec::new();
        /// Give phones that support it a globally routable URI of theirs (GRUU, RFC 5627).
        live gruu: bool = true;
    }
}

section! {
    /// How long bindings last.
    Expires {
        /// What a REGISTER gets that asks for nothing.
        live default: Duration = seconds(3_600), within seconds(10) => seconds(604_800);
        /// The least; who asks for less gets 423 with Min-Expires.
        live min: Duration = seconds(60), within seconds(1) => seconds(86_400);
        /// The most; who asks for more gets so much.
        live max: Duration = seconds(7_200), within seconds(10) => seconds(604_800);
        /// What is granted is shorter than that by up to so many percent, by chance: phones that all came back
        /// at once do not all refresh at once.
        live jitter_percent: u32 = 10, within 0 => 50;
    }
}

section! {
    /// Where accounts with their passwords are. Exactly one of these.
    Accounts {
        /// A TOML file of accounts.
        live file: Option<PathBuf> = None;
        /// An SQLite database, kept by `tandem accounts`.
        live sqlite: Option<PathBuf> = None;
        /// Connection string of a PostgreSQL database.
        live postgres: Option<ConnectionString> = None;
        /// Connection string of a MySQL or MariaDB database.
        live mysql: Option<ConnectionString> = None;
        /// TLS to a PostgreSQL or MySQL database.
        live tls: DatabaseTls = DatabaseTls::Off;
        /// PEM file of the authorities that a database's certificate may come from.
        live tls_authorities: Option<PathBuf> = None, derived "the public ones";
        /// RADIUS servers, `host:port`, in the order in which they are asked.
        live radius: Vec<String> = Vec::new();
        /// The secret shared with the RADIUS servers.
        live radius_secret: Option<Secret> = None;
        /// Attributes that carry the proof.
        live radius_dialect: RadiusDialect = RadiusDialect::Sterman;
        /// How long a RADIUS server has to answer.
        live radius_wait: Duration = Duration::from_millis(400), within Duration::from_millis(20) => seconds(10);
        /// How often a RADIUS server is asked before the next one is.
        live radius_tries: u32 = 2, within 1 => 10;
        /// Answers without a Message-Authenticator are not believed (CVE-2024-3596).
        live radius_authenticator_required: bool = true;
        /// The user name is sent as `user@realm`.
        live radius_append_realm: bool = false;
        /// Table of a database.
        live table: String = "subscriber".to_owned();
        /// Its column of user names.
        live username_column: String = "username".to_owned();
        /// Its column of domains; empty: user names are unique by themselves.
        live domain_column: String = "domain".to_owned();
        /// Its column of passwords in clear; empty: there is none.
        live password_column: String = String::new();
        /// Its column of HA1s of MD5.
        live ha1_column: String = "ha1".to_owned();
        /// Its column of HA1s of MD5 of `user@domain`; empty: there is none.
        live ha1b_column: String = "ha1b".to_owned();
        /// Its column of HA1s of SHA-256; empty: there is none.
        live sha256_column: String = String::new();
        /// Its column of HA1s of SHA-512-256; empty: there is none.
        live sha512_256_column: String = String::new();
    }
}

impl Accounts {
    /// How many sources it names.
    pub fn sources(&self) -> usize {
        let given = [
            self.file.is_some(),
            self.sqlite.is_some(),
            self.postgres.is_some(),
            self.mysql.is_some(),
            !self.radius.is_empty(),
        ];
        given.into_iter().filter(|given| *given).count()
    }

    /// What is shown to nobody, by its key.
    pub(crate) fn secrets(&self) -> [(&'static str, Option<&str>); 3] {
        [
            ("postgres", self.postgres.as_ref().map(ConnectionString::reveal)),
            ("mysql", self.mysql.as_ref().map(ConnectionString::reveal)),
            ("radius_secret", self.radius_secret.as_ref().map(Secret::reveal)),
        ]
    }

    /// Names of the table and its columns, by their keys.
    pub fn names(&self) -> [(&'static str, &str); 8] {
        [
            ("table", self.table.as_str()),
            ("username_column", &self.username_column),
            ("domain_column", &self.domain_column),
            ("password_column", &self.password_column),
            ("ha1_column", &self.ha1_column),
            ("ha1b_column", &self.ha1b_column),
            ("sha256_column", &self.sha256_column),
            ("sha512_256_column", &self.sha512_256_column),
        ]
    }
}
