//! `[control]`, `[metrics]`, `[log]`, `[state]`, `[keys]`, `[dns]`: the process around the shards.

use crate::read::{Node, Reader, Value, milliseconds, seconds};
use crate::schema::Kind;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

choice! {
    /// What the group of the control socket may do.
    SocketAccess {
        /// Look.
        Read = "read",
        /// Look and change.
        Write = "write",
    }
}

choice! {
    /// The least important line that is written.
    LogLevel {
        /// What fails.
        Error = "error",
        /// What deserves a look.
        Warn = "warn",
        /// What changes: gateways, configuration, state.
        Info = "info",
        /// More, for a short time.
        Debug = "debug",
    }
}

choice! {
    /// Form of a log line.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

section! {
    /// The Unix socket that the `tandem` commands speak to. Its owner may do everything.
    Control {
        /// Where it is.
        restart socket: PathBuf = PathBuf::new(), derived "tandem/control.sock below /run for root, below the user's runtime directory else";
        /// A group of the system that may use it too.
        restart group: Option<String> = None;
        /// What that group may do.
        restart group_access: SocketAccess = SocketAccess::Read;
    }
}

section! {
    /// Prometheus metrics over HTTP, at `/metrics`.
    Metrics {
        /// Address and port of the listener; none: no metrics.
        restart listen: Option<SocketAddr> = None;
    }
}

section! {
    /// Logging: off the packet path, escaped, bounded in rate, never a line a call.
    Log {
        /// The least important line that is written.
        restart level: LogLevel = LogLevel::Info;
        /// Form of a line.
        restart format: LogFormat = LogFormat::Text;
        /// Where lines go: `"stderr"`, `"stdout"` or a path.
        restart destination: LogDestination = LogDestination::Stderr;
        /// Lines of one kind that are written in a second; the rest is counted and the count written.
        restart lines_per_second: u32 = 20, within 1 => 10_000;
    }
}

section! {
    /// What outlives a restart: gateways that were disabled, the last good file, keys.
    State {
        /// Directory; made when it is missing.
        restart dir: PathBuf = PathBuf::new(), derived "/var/lib/tandem for root, tandem below the user's state directory else";
    }
}

section! {
    /// Keys that sign our Via and Route tokens: the first signs, all verify. Nodes that share keys
    /// can carry each other's calls.
    Keys {
        /// Files with a key each, 32 bytes as 64 hexadecimal digits. Empty: keys are made and kept in `dir`.
        restart files: Vec<PathBuf> = Vec::new();
        /// Directory of the keys that Tandem makes itself.
        restart dir: PathBuf = PathBuf::new(), derived "keys below state.dir";
        /// Number of this node among those that share keys.
        restart node: u16 = 0, within 0 => ::limits::NODE_ID_MAX;
    }
}

section! {
    /// How gateways by name are found (RFC 3263): NAPTR, SRV, A and AAAA, refreshed by TTL, the last
    /// good answer kept.
    Dns {
        /// Name servers, asked in this order, port 53.
        restart servers: Vec<IpAddr> = Vec::new(), derived "those of /etc/resolv.conf";
        /// Longest wait for one server.
        restart timeout: Duration = seconds(2), within milliseconds(100) => seconds(30);
        /// An answer is kept at least this long, whatever its TTL.
        restart ttl_min: Duration = seconds(5), within seconds(1) => seconds(3_600);
        /// An answer is asked for again at the latest after this long.
        restart ttl_max: Duration = seconds(3_600), within seconds(1) => seconds(86_400);
    }
}

/// Where log lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogDestination {
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
    /// A file, appended to.
    File(PathBuf),
}

impl Value for LogDestination {
    fn kind() -> Kind {
        Kind::Text("\"stderr\", \"stdout\" or a path")
    }
    fn read(node: &Node<'_>, reader: &mut Reader<'_>, _: Option<&Self>) -> Option<Self> {
        match String::read(node, reader, None)?.as_str() {
            "stderr" => Some(LogDestination::Stderr),
            "stdout" => Some(LogDestination::Stdout),
            path if path.contains('/') => Some(LogDestination::File(PathBuf::from(path))),
            name => {
                let remedy = format!("write \"stderr\", \"stdout\" or a path such as \"/var/log/{name}.log\"");
                reader.malformed(node, "neither stderr, stdout nor a path", remedy);
                None
            }
        }
    }
    fn print(&self) -> Option<toml::Value> {
        Some(toml::Value::String(match self {
            LogDestination::Stderr => "stderr".to_owned(),
            LogDestination::Stdout => "stdout".to_owned(),
            LogDestination::File(path) => path.display().to_string(),
        }))
    }
}
