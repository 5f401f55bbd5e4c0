//! Who may do what over the control socket: decided by the kernel's word on the peer (`SO_PEERCRED`).
//!
//! The owner of the process and root may do everything; one group may be let in too, to look or to
//! change. The mode of the socket file keeps others out before that; it decides nothing alone.

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
    /// A group that is let in, and what it may do.
    pub group: Option<(u32, Access)>,
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
    /// The rules with the group given by name. The error names a group that does not exist.
    pub fn new(group: Option<(&str, Access)>) -> Result<Self, String> {
        let group = match group {
            Some((name, access)) => Some((gid(name)?, access)),
            None => None,
        };
        Ok(Permissions { owner: Uid::effective().as_raw(), group })
    }

    /// What `peer` may do; nothing: `None`.
    pub fn access(&self, peer: &Peer) -> Option<Access> {
        if peer.uid == 0 || peer.uid == self.owner {
            return Some(Access::Write);
        }
        self.group.filter(|(group, _)| peer.groups.contains(group)).map(|(_, access)| access)
    }

    /// Mode of the socket file, and the group that it is given to.
    pub fn socket_mode(&self) -> (u32, Option<u32>) {
        match self.group {
            None => (0o600, None),
            Some((group, _)) => (0o660, Some(group)),
        }
    }
}

fn gid(name: &str) -> Result<u32, String> {
    match Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
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
    fn owner_root_and_group() {
        let rules = |access| Permissions { owner: 100, group: Some((5, access)) };
        assert_eq!(rules(Access::Read).access(&peer(100, &[])), Some(Access::Write));
        assert_eq!(rules(Access::Read).access(&peer(0, &[])), Some(Access::Write));
        assert_eq!(rules(Access::Read).access(&peer(7, &[1, 5])), Some(Access::Read));
        assert_eq!(rules(Access::Write).access(&peer(7, &[5])), Some(Access::Write));
        assert_eq!(
            rules(Access::Write).access(&peer(7, &[0, 7, 100])),
            None,
            "a group with the owner's number is nothing"
        );
    }

    #[test]
    fn without_a_group_only_owner_and_root() {
        let rules = Permissions { owner: 100, group: None };
        assert_eq!(rules.access(&peer(7, &[0, 100])), None);
        assert_eq!(rules.socket_mode(), (0o600, None));
        assert_eq!(Permissions { owner: 1, group: Some((5, Access::Read)) }.socket_mode(), (0o660, Some(5)));
    }

    #[test]
    fn the_kernel_says_who_we_are() {
        let (here, _there) = UnixStream::pair().unwrap();
        let peer = Peer::of(&here).unwrap();
        assert_eq!(peer.uid, Uid::effective().as_raw());
        assert!(peer.groups.contains(&Gid::effective().as_raw()));
        assert_eq!(Permissions::new(None).unwrap().access(&peer), Some(Access::Write));
    }

    #[test]
    fn a_group_that_is_not_there_is_named() {
        let error = Permissions::new(Some(("no-such-group-here", Access::Read))).unwrap_err();
        assert!(error.contains("no-such-group-here"));
    }
}
