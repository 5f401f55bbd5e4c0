//! `[records]`: a record of every call and attempt.

use crate::read::{ConnectionString, Secret, minutes, seconds};
use std::path::PathBuf;
use std::time::Duration;

choice! {
    /// What happens while records cannot be written: the disk is full or broken.
    WhenFull {
        /// New calls get 503; the records of those in progress wait in memory.
        Refuse = "refuse",
        /// Calls go on; their records wait in memory, and are lost when there is no more room for them.
        Carry = "carry",
    }
}

section! {
    /// Records of customers' calls: written on this host before the 2xx of a call leaves, read by `tandem cdr`.
    Records {
        /// Folder of their files; made when it is missing.
        restart dir: PathBuf = PathBuf::new(), derived "records in the state directory";
        /// What happens while records cannot be written.
        restart when_full: WhenFull = WhenFull::Refuse;
        /// Days for which files are kept; those that are not shipped yet, or that a live call stands in, stay longer.
        restart keep_days: u32 = 30, within 1 => 3_650;
        /// Longest file, in MiB.
        restart file_mebibytes: u32 = 64, within 1 => 1_024;
        /// PostgreSQL that all records are shipped to, as libpq has it: `"host=… user=… dbname=…"`; none: to nobody.
        restart postgres: Option<ConnectionString> = None;
        /// Its table; made when it is missing.
        restart postgres_table: String = "tandem_records".to_owned();
        /// NATS server whose stream all records are shipped to, such as `"nats://10.0.0.1:4222"`; none: to nobody.
        restart nats: Option<ConnectionString> = None;
        /// Subject before the number of the node: `tandem.records.1`. A stream of the server has to take it.
        restart nats_subject: String = "tandem.records".to_owned();
        /// RADIUS servers that hear of each call (Start, Interim-Update, Stop, Failed), as `"host:port"`, the first one first.
        restart radius: Vec<String> = Vec::new();
        /// The secret shared with them.
        restart radius_secret: Option<Secret> = None;
        /// Oldest file that is still written.
        restart file_age: Duration = minutes(60), within seconds(1) => minutes(1_440);
    }
}

impl Records {
    /// What is shown to nobody, by its key.
    pub(crate) fn secrets(&self) -> [(&'static str, Option<&str>); 3] {
        [
            ("postgres", self.postgres.as_ref().map(ConnectionString::reveal)),
            ("nats", self.nats.as_ref().map(ConnectionString::reveal)),
            ("radius_secret", self.radius_secret.as_ref().map(Secret::reveal)),
        ]
    }
}
