//! The socket against clients that hang, flood and leave.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
use super::super::rpc;
use super::*;
use std::io::{BufRead, BufReader};

fn served() -> (tempfile::TempDir, PathBuf, SocketFile) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run/control.sock");
    let permissions = Permissions::new(None).unwrap();
    let socket = ControlSocket::bind(&path, &permissions).unwrap();
    let file = socket
        .serve(permissions, |peer, permissions, line| {
            assert!(permissions.access(peer).is_some());
            rpc::answer(line, |call| Ok(call.params))
        })
        .unwrap();
    (folder, path, file)
}

fn ask(path: &Path, line: &str) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.write_all(line.as_bytes()).unwrap();
    let mut reply = String::new();
    BufReader::new(stream).read_line(&mut reply).unwrap();
    reply
}

const ECHO: &str = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"}\n";

#[test]
fn the_file_is_the_owners_and_goes_at_the_end() {
    let (_folder, path, file) = served();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(ask(&path, ECHO).contains("\"result\""));
    drop(file);
    assert!(!path.exists());
}

#[test]
fn several_lines_in_one_write_are_several_requests() {
    let (_folder, path, _file) = served();
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(ECHO.repeat(3).as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(BufReader::new(stream).lines().count(), 3);
}

#[test]
fn clients_that_hang_do_no_harm_and_one_too_many_is_told() {
    let (_folder, path, _file) = served();
    let mut hanging: Vec<_> = (0..CONNECTIONS_MAX - 1).map(|_| UnixStream::connect(&path).unwrap()).collect();
    for stream in &mut hanging {
        stream.write_all(b"{\"half\":").unwrap();
    }
    assert!(ask(&path, ECHO).contains("\"result\""));
    // WHY retried: the connection that just ended gives its place back a moment later.
    hanging.push(loop {
        let stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let mut line = String::new();
        if BufReader::new(&stream).read_line(&mut line).is_err() {
            break stream;
        }
    });
    let mut line = String::new();
    BufReader::new(UnixStream::connect(&path).unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("too many control connections"), "{line}");
    drop(hanging);
    let deadline = Instant::now() + Duration::from_secs(5);
    while !ask(&path, ECHO).contains("\"result\"") {
        assert!(Instant::now() < deadline, "places are given back");
    }
}

#[test]
fn a_request_without_end_is_cut_off() {
    let (_folder, path, _file) = served();
    let mut stream = UnixStream::connect(&path).unwrap();
    let chunk = vec![b'x'; 8192];
    let mut sent = 0;
    while stream.write_all(&chunk).is_ok() {
        sent += chunk.len();
        assert!(sent < 10 * 1024 * 1024, "the server reads on without end");
    }
    let mut line = String::new();
    let _ = BufReader::new(stream).read_line(&mut line);
    assert!(line.is_empty() || line.contains("at most"), "{line}");
}

#[test]
fn a_line_has_a_deadline_of_its_own() {
    let (here, mut there) = UnixStream::pair().unwrap();
    there.write_all(b"{").unwrap();
    let started = Instant::now();
    let error = Lines::new(&here).next().unwrap_err();
    assert!(matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock), "{error}");
    assert!(started.elapsed() < LINE_DEADLINE + Duration::from_secs(5));
}

#[test]
fn a_dead_ones_file_is_replaced_and_a_live_one_is_not() {
    let (_folder, path, _file) = served();
    let permissions = Permissions::new(None).unwrap();
    let refused = ControlSocket::bind(&path, &permissions).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);

    let folder = tempfile::tempdir().unwrap();
    let dead = folder.path().join("s");
    drop(UnixListener::bind(&dead).unwrap());
    assert!(dead.exists());
    ControlSocket::bind(&dead, &permissions).unwrap();
}

#[test]
fn a_file_that_is_no_socket_is_never_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("precious");
    fs::write(&path, "data").unwrap();
    ControlSocket::bind(&path, &Permissions::new(None).unwrap()).unwrap_err();
    assert_eq!(fs::read(&path).unwrap(), b"data");
}
