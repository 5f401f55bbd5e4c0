//! The control socket: made, guarded, and read line by line with a deadline for everything.
//!
//! One thread accepts; each connection has a thread of its own, of which there are few. A client that
//! hangs, sends without end or does not read costs one of them until its deadline, and nobody else
//! anything. What a line asks for is [`super::rpc`]'s and [`super::methods`]' matter.

use super::permission::{Peer, Permissions};
use super::rpc::REQUEST_BYTES_MAX;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Connections at the same time; one more is told so and closed.
pub const CONNECTIONS_MAX: usize = 16;

/// How long a line may take to arrive once its first byte is there, and a reply to be taken.
pub const LINE_DEADLINE: Duration = Duration::from_secs(5);

/// How long a connection may be silent between lines (`--watch` asks once a second).
pub const IDLE_DEADLINE: Duration = Duration::from_secs(60);

/// A bound control socket. Its file goes when it is dropped.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ControlSocket {
    /// Binds `path`. A file left behind by a process that is gone is replaced; a live one is not.
    pub fn bind(path: &Path, permissions: &Permissions) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
        }
        remove_if_dead(path)?;
        let listener = UnixListener::bind(path)?;
        let socket = ControlSocket { listener, path: path.to_owned() };
        let (mode, group) = permissions.socket_mode();
        if let Some(group) = group {
            std::os::unix::fs::chown(path, None, Some(group))?;
        }
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        Ok(socket)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts the accepting thread. `serve` gets each line of each peer and gives back the reply.
    ///
    /// The thread lives as long as the process; the returned guard removes the file.
    pub fn serve<S>(self, permissions: Permissions, serve: S) -> io::Result<SocketFile>
    where
        S: Fn(&Peer, &Permissions, &[u8]) -> Option<String> + Send + Sync + 'static,
    {
        let serve = Arc::new(serve);
        let permissions = Arc::new(permissions);
        let open = Arc::new(AtomicUsize::new(0));
        let listener = self.listener.try_clone()?;
        std::thread::Builder::new().name("tandem-control".into()).spawn(move || {
            loop {
                match listener.accept() {
                    Ok((stream, _)) => admit(stream, &open, &permissions, &serve),
                    // WHY: out of descriptors for a moment must not end the socket, nor spin.
                    Err(_) => std::thread::sleep(Duration::from_millis(100)),
                }
            }
        })?;
        Ok(SocketFile { path: self.path.clone() })
    }
}

/// Removes the socket's file at the end.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn remove_if_dead(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file that is no socket stands there"));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another tandem is served there")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
    }
}

fn admit<S>(stream: UnixStream, open: &Arc<AtomicUsize>, permissions: &Arc<Permissions>, serve: &Arc<S>)
where
    S: Fn(&Peer, &Permissions, &[u8]) -> Option<String> + Send + Sync + 'static,
{
    let slot = Slot::take(open);
    let (permissions, serve) = (Arc::clone(permissions), Arc::clone(serve));
    let Some(slot) = slot else {
        // WHY no thread: this reply fits every socket buffer, and nobody waits for it.
        let _ = stream.set_nonblocking(true);
        let _ = (&stream).write_all(b"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32000,\"message\":\"too many control connections\"}}\n");
        return;
    };
    let converse = move || {
        let _slot = slot;
        // An error here ends this connection and is the client's to notice.
        let _ = converse(&stream, &permissions, &*serve);
    };
    // Without a thread the closure is dropped, and the connection with it.
    let _ = std::thread::Builder::new().name("tandem-client".into()).spawn(converse);
}

/// One of [`CONNECTIONS_MAX`]; given back when dropped.
struct Slot(Arc<AtomicUsize>);

impl Slot {
    fn take(open: &Arc<AtomicUsize>) -> Option<Self> {
        if open.fetch_add(1, Ordering::AcqRel) >= CONNECTIONS_MAX {
            open.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        Some(Slot(Arc::clone(open)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn converse(
    stream: &UnixStream,
    permissions: &Permissions,
    serve: &impl Fn(&Peer, &Permissions, &[u8]) -> Option<String>,
) -> io::Result<()> {
    let peer = Peer::of(stream)?;
    let mut lines = Lines::new(stream);
    loop {
        let line = match lines.next() {
            Ok(Some(line)) => line,
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let why = super::rpc::RpcError::new(super::rpc::code::INVALID_REQUEST, error.to_string());
                let reply = serde_json::json!({ "jsonrpc": "2.0", "id": null, "error": why });
                return send(stream, &reply.to_string());
            }
            Err(error) => return Err(error),
        };
        if let Some(reply) = serve(&peer, permissions, &line) {
            send(stream, &reply)?;
        }
    }
}

fn send(mut stream: &UnixStream, reply: &str) -> io::Result<()> {
    let deadline = Instant::now() + LINE_DEADLINE;
    let mut rest = [reply.as_bytes(), b"\n"].concat();
    while !rest.is_empty() {
        stream.set_write_timeout(Some(left(deadline)?))?;
        let written = stream.write(&rest)?;
        rest.drain(..written);
    }
    Ok(())
}

/// Time left until `deadline`; an error when there is none.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// Lines of a stream, each bounded in length and time.
struct Lines<'s> {
    stream: &'s UnixStream,
    buffer: Vec<u8>,
}

impl<'s> Lines<'s> {
    fn new(stream: &'s UnixStream) -> Self {
        Lines { stream, buffer: Vec::new() }
    }

    /// The next line without its end; `None` when the client closed.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut deadline = Instant::now() + if self.buffer.is_empty() { IDLE_DEADLINE } else { LINE_DEADLINE };
        let mut searched = 0;
        loop {
            if let Some(end) = self.buffer.iter().skip(searched).position(|&byte| byte == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=searched + end).collect();
                line.pop();
                return Ok(Some(line));
            }
            searched = self.buffer.len();
            if searched > REQUEST_BYTES_MAX {
                let why = format!("a request is at most {REQUEST_BYTES_MAX} bytes");
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
            let mut chunk = [0; 4096];
            self.stream.set_read_timeout(Some(left(deadline)?))?;
            let read = self.stream.read(&mut chunk)?;
            if read == 0 {
                return Ok(None);
            }
            if self.buffer.is_empty() {
                deadline = Instant::now() + LINE_DEADLINE;
            }
            self.buffer.extend_from_slice(chunk.get(..read).unwrap_or_default());
        }
    }
}

#[cfg(test)]
#[path = "socket_tests.rs"]
mod tests;
