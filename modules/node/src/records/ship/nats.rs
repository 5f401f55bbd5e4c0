//! A stream of NATS (JetStream), over the client protocol's text: <https://docs.nats.io/reference/reference-protocols/nats-protocol>.
//!
//! Each record is published under `<subject>.<node>` with its key as `Nats-Msg-Id`, and is delivered when the stream has
//! acknowledged it. A server forgets ids after its `duplicate_window`; so whoever connects asks first for the last
//! message that the stream has of this node, and leaves out all up to that one. The stream itself is its operator's to
//! make: `nats stream add RECORDS --subjects 'tandem.records.*'`.

use super::{Parcel, Receiver};
use data_encoding::BASE64;
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Longest wait for the server.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest line and payload that are taken from it.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// See the module.
#[derive(Debug)]
pub struct Nats {
    /// Host and port.
    server: String,
    user: Option<(String, String)>,
    subject: String,
    connection: Option<Connection>,
}

#[derive(Debug)]
struct Connection {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
    inbox: String,
    /// The last record of this node that the stream had when we connected.
    known: Option<(u64, u64)>,
}

impl Nats {
    /// `url`: `nats://host:4222`, with `user:password@` before the host where that is asked for.
    ///
    /// # Errors
    /// It is no such URL.
    pub fn new(url: &str, subject: &str) -> Result<Self, String> {
        let rest = url.strip_prefix("nats://").ok_or_else(|| format!("`{url}` does not begin with nats://"))?;
        let (user, host) = match rest.rsplit_once('@') {
            Some((user, host)) => (user.split_once(':'), host),
            None => (None, rest),
        };
        let host = host.trim_end_matches('/');
        let server = if host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
            host.to_owned()
        } else {
            format!("{host}:4222")
        };
        let user = user.map(|(user, password)| (user.to_owned(), password.to_owned()));
        Ok(Nats { server, user, subject: subject.to_owned(), connection: None })
    }

    fn connect(&self, node: u16) -> io::Result<Connection> {
        let mut addresses = self.server.to_socket_addrs()?;
        let address = addresses.next().ok_or_else(|| io::Error::other(format!("{} has no address", self.server)))?;
        let writer = TcpStream::connect_timeout(&address, PATIENCE)?;
        writer.set_nodelay(true)?;
        writer.set_read_timeout(Some(PATIENCE))?;
        writer.set_write_timeout(Some(PATIENCE))?;
        let reader = BufReader::new(writer.try_clone()?);
        let inbox = format!("_INBOX.tandem{:016x}", getrandom::u64().map_err(io::Error::other)?);
        let mut connection = Connection { reader, writer, inbox, known: None };
        connection.greet(self.user.as_ref())?;
        connection.known = connection.last_of(&format!("{}.{node}", self.subject))?;
        Ok(connection)
    }

    fn deliver_all(&mut self, parcels: &[Parcel]) -> io::Result<()> {
        let Some(first) = parcels.first() else { return Ok(()) };
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect(first.node)?,
        };
        let new = parcels.iter().filter(|parcel| connection.known.is_none_or(|known| parcel.key() > known));
        connection.publish(&self.subject, &new.collect::<Vec<_>>())?;
        self.connection = Some(connection);
        Ok(())
    }
}

impl Receiver for Nats {
    fn name(&self) -> &'static str {
        "nats"
    }

    fn deliver(&mut self, parcels: &[Parcel]) -> Result<(), String> {
        self.deliver_all(parcels).map_err(|error| error.to_string())
    }
}

impl Connection {
    fn greet(&mut self, user: Option<&(String, String)>) -> io::Result<()> {
        self.line()?.strip_prefix("INFO ").ok_or_else(|| io::Error::other("what answers is no NATS server"))?;
        let mut hello = json!({ "verbose": false, "pedantic": false, "headers": true, "no_responders": true,
            "lang": "rust", "version": env!("CARGO_PKG_VERSION"), "name": "tandem", "protocol": 1 });
        if let (Some((user, password)), Some(hello)) = (user, hello.as_object_mut()) {
            hello.insert("user".into(), user.as_str().into());
            hello.insert("pass".into(), password.as_str().into());
        }
        write!(self.writer, "CONNECT {hello}\r\nSUB {}.* 1\r\nPING\r\n", self.inbox)?;
        while self.next_line()? != "PONG" {}
        Ok(())
    }

    /// Key of the last message that a stream has under a subject.
    fn last_of(&mut self, subject: &str) -> io::Result<Option<(u64, u64)>> {
        let names = self.ask("$JS.API.STREAM.NAMES", &json!({ "subject": subject }))?;
        let stream = names.pointer("/streams/0").and_then(Value::as_str);
        let stream = stream.ok_or_else(|| io::Error::other(format!("no stream takes {subject}: make one")))?.to_owned();
        let last = self.ask(&format!("$JS.API.STREAM.MSG.GET.{stream}"), &json!({ "last_by_subj": subject }))?;
        if last.pointer("/error/code").and_then(Value::as_u64) == Some(404) {
            return Ok(None);
        }
        let headers = last.pointer("/message/hdrs").and_then(Value::as_str).unwrap_or_default();
        let headers = BASE64.decode(headers.as_bytes()).map_err(io::Error::other)?;
        Ok(key_in(&String::from_utf8_lossy(&headers)))
    }

    fn ask(&mut self, subject: &str, question: &Value) -> io::Result<Value> {
        let question = question.to_string();
        write!(self.writer, "PUB {subject} {}.ask {}\r\n{question}\r\n", self.inbox, question.len())?;
        let (_, answer) = self.message()?;
        serde_json::from_slice(&answer).map_err(|_| io::Error::other("JetStream is not enabled at the server"))
    }

    /// Publishes all, then waits until the stream has each.
    fn publish(&mut self, subject: &str, parcels: &[&Parcel]) -> io::Result<()> {
        let mut out = Vec::new();
        for (place, parcel) in parcels.iter().enumerate() {
            let head = format!("NATS/1.0\r\nNats-Msg-Id: {}-{}-{}\r\n\r\n", parcel.node, parcel.epoch, parcel.sequence);
            let record = parcel.record.to_string();
            let total = head.len() + record.len();
            let reply = format!("{}.{place}", self.inbox);
            write!(out, "HPUB {subject}.{} {reply} {} {total}\r\n{head}{record}\r\n", parcel.node, head.len())?;
        }
        self.writer.write_all(&out)?;
        for _ in parcels {
            let (status, answer) = self.message()?;
            if status == Some(503) {
                return Err(io::Error::other(format!("no stream takes {subject}.*: make one")));
            }
            let answer: Value = serde_json::from_slice(&answer).map_err(io::Error::other)?;
            if let Some(error) = answer.get("error") {
                return Err(io::Error::other(format!("the stream refuses: {error}")));
            }
        }
        Ok(())
    }

    /// The next message for us: its status, if its headers have one, and its payload.
    fn message(&mut self) -> io::Result<(Option<u16>, Vec<u8>)> {
        loop {
            let line = self.next_line()?;
            let mut words = line.split_ascii_whitespace();
            let kind = words.next().unwrap_or_default();
            let mut sizes = words.rev().map(|word| word.parse::<usize>().unwrap_or(usize::MAX));
            let (head, total) = match kind {
                "MSG" => (0, sizes.next()),
                "HMSG" => {
                    let total = sizes.next();
                    (sizes.next().unwrap_or(0), total)
                }
                _ => continue,
            };
            let total = total.filter(|total| *total <= MESSAGE_BYTES_MAX && head <= *total);
            let total = total.ok_or_else(|| io::Error::other("a message that is too long"))?;
            let mut bytes = vec![0; total + 2];
            self.reader.read_exact(&mut bytes)?;
            bytes.truncate(total);
            let payload = bytes.split_off(head);
            let status =
                String::from_utf8_lossy(&bytes).lines().next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
            return Ok((status, payload));
        }
    }

    /// The next line that is no PING, which is answered, and no error.
    fn next_line(&mut self) -> io::Result<String> {
        loop {
            let line = self.line()?;
            match line.as_str() {
                "PING" => self.writer.write_all(b"PONG\r\n")?,
                "+OK" => {}
                error if error.starts_with("-ERR") => return Err(io::Error::other(error.to_owned())),
                _ => return Ok(line),
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        let length = (&mut self.reader).take(MESSAGE_BYTES_MAX as u64).read_line(&mut line)?;
        if length == 0 {
            return Err(io::Error::other("the server has closed the connection"));
        }
        Ok(line.trim_end().to_owned())
    }
}

/// Epoch and sequence of the id in a message's headers.
fn key_in(headers: &str) -> Option<(u64, u64)> {
    let id = headers.lines().find_map(|line| line.strip_prefix("Nats-Msg-Id:"))?.trim();
    let mut parts = id.split('-').skip(1).map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn urls_with_and_without_user_and_port() {
        let of = |url| Nats::new(url, "s").map(|nats| (nats.server, nats.user));
        assert_eq!(of("nats://10.0.0.1").unwrap(), ("10.0.0.1:4222".to_owned(), None));
        let user = Some(("me".to_owned(), "p:w".to_owned()));
        assert_eq!(of("nats://me:p:w@host:5222/").unwrap(), ("host:5222".to_owned(), user));
        assert!(of("host:4222").is_err());
    }

    #[test]
    fn the_key_is_read_from_an_id() {
        assert_eq!(key_in("NATS/1.0\r\nNats-Msg-Id: 3-1700000000000-42\r\n\r\n"), Some((1_700_000_000_000, 42)));
        assert_eq!(key_in("NATS/1.0\r\nOther: 3-4-5\r\n\r\n"), None);
    }
}
