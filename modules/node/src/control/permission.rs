//! Who may do what over the control socket: decided by the kernel's word on the peer (`SO_PEERCRED`).
//!
//! The owner of the process and root may do everything. A group may be given reading, a group may be
//! given changing. The mode of the socket file keeps others out before that; it decides nothing alone.

use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::{Gid, Group, Uid, User, getgrouplist};
use std::ffi::CString;
use std::os::unix::net::UnixStream;

/// What a peer may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Look.
    Read,
    /// Look and change.
    Write,
}

/// Who is on the other side.
#[derive(Clone, Debug)]
pub struct Peer {
    /// User id.
    pub uid: u32,
    /// The user's name, or `uid 1234` if he has none here.
    pub name: String,
    /// Process id, for the log.
    pub pid: i32,
    /// Groups that he is in.
    pub groups: Vec<u32>,
}

/// The rules, from `[control]`.
#[derive(Clone, Debug, Default)]
pub struct Permissions {
    /// The user that Tandem runs as.
    pub owner: u32,
    /// Group that may look.
    pub read_group: Option<u32>,
    /// Group that may look and change.
    pub write_group: Option<u32>,
}

impl Peer {
    /// Asks the kernel who connected.
    pub fn of(stream: &UnixStream) -> nix::Result<Self> {
        let credentials = getsockopt(stream, sockopt::PeerCredentials)?;
        let user = User::from_uid(Uid::from_raw(credentials.uid())).ok().flatten();
        let mut groups = vec![credentials.gid()];
        if let Some(name) = user.as_ref().and_then(|user| CString::new(user.name.as_str()).ok()) {
            // WHY: SO_PEERCRED tells the primary group alone; the group that was given rights is mostly another.
            let all = getgrouplist(&name, Gid::from_raw(credentials.gid())).unwrap_or_default();
            groups.extend(all.into_iter().map(Gid::as_raw));
        }
        let name = user.map_or_else(|| format!("uid {}", credentials.uid()), |user| user.name);
        Ok(Peer { uid: credentials.uid(), name, pid: credentials.pid(), groups })
    }
}

impl Permissions {
    /// The rules with groups given by name. The error names the group that does not exist.
    pub fn new(read_group: Option<&str>, write_group: Option<&str>) -> Result<Self, String> {
        Ok(Permissions { owner: Uid::effective().as_raw(), read_group: gid(read_group)?, write_group: gid(write_group)? })
    }

    /// What `peer` may do; nothing: `None`.
    pub fn access(&self, peer: &Peer) -> Option<Access> {
        let is_in = |group: Option<u32>| group.is_some_and(|group| peer.groups.contains(&group));
        if peer.uid == 0 || peer.uid == self.owner || is_in(self.write_group) {
            Some(Access::Write)
        } else if is_in(self.read_group) {
            Some(Access::Read)
        } else {
            None
        }
    }

    /// Mode of the socket file, and the group that it belongs to.
    ///
    /// With two groups the file has to be open to everybody, since it has one group only; the
    /// credentials still decide.
    pub fn socket_mode(&self) -> (u32, Option<u32>) {
        match (self.read_group, self.write_group) {
            (None, None) => (0o600, None),
            (Some(group), None) | (None, Some(group)) => (0o660, Some(group)),
            (Some(read), Some(write)) if read == write => (0o660, Some(read)),
            (Some(_), Some(_)) => (0o666, None),
        }
    }
}

fn gid(name: Option<&str>) -> Result<Option<u32>, String> {
    let Some(name) = name else { return Ok(None) };
    match Group::from_name(name) {
        Ok(Some(group)) => Ok(Some(group.gid.as_raw())),
        Ok(None) => Err(format!("there is no group \"{name}\" on this host")),
        Err(error) => Err(format!("cannot look up group \"{name}\": {error}")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    fn peer(uid: u32, groups: &[u32]) -> Peer {
        Peer { uid, name: format!("uid {uid}"), pid: 1, groups: groups.to_vec() }
    }

    #[test]
    fn owner_root_and_groups() {
        let rules = Permissions { owner: 100, read_group: Some(5), write_group: Some(6) };
        assert_eq!(rules.access(&peer(100, &[])), Some(Access::Write));
        assert_eq!(rules.access(&peer(0, &[])), Some(Access::Write));
        assert_eq!(rules.access(&peer(7, &[1, 5])), Some(Access::Read));
        assert_eq!(rules.access(&peer(7, &[5, 6])), Some(Access::Write));
        assert_eq!(rules.access(&peer(7, &[7, 100])), None, "a group with the owner's number is nothing");
    }

    #[test]
    fn without_groups_only_owner_and_root() {
        let rules = Permissions { owner: 100, ..Permissions::default() };
        assert_eq!(rules.access(&peer(7, &[0, 100])), None);
        assert_eq!(rules.socket_mode(), (0o600, None));
    }

    #[test]
    fn the_file_is_no_wider_than_it_must_be() {
        let mode = |read_group, write_group| Permissions { owner: 1, read_group, write_group }.socket_mode();
        assert_eq!(mode(Some(5), None), (0o660, Some(5)));
        assert_eq!(mode(None, Some(5)), (0o660, Some(5)));
        assert_eq!(mode(Some(5), Some(5)), (0o660, Some(5)));
        assert_eq!(mode(Some(5), Some(6)), (0o666, None));
    }

    #[test]
    fn the_kernel_says_who_we_are() {
        let (here, _there) = UnixStream::pair().unwrap();
        let peer = Peer::of(&here).unwrap();
        assert_eq!(peer.uid, Uid::effective().as_raw());
        assert!(peer.groups.contains(&Gid::effective().as_raw()));
        assert_eq!(Permissions::new(None, None).unwrap().access(&peer), Some(Access::Write));
    }

    #[test]
    fn a_group_that_is_not_there_is_named() {
        assert!(Permissions::new(Some("no-such-group-here"), None).unwrap_err().contains("no-such-group-here"));
    }
}
