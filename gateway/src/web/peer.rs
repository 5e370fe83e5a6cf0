//! Who is at the other end of the control socket, as the kernel knows it, and what they may do.

use nix::libc;
use nix::unistd::{Uid, User, getegid, geteuid};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rights {
    /// Nothing.
    Nothing,
    /// Look.
    Read,
    /// Look and change.
    Change,
}

/// The other end of a Unix socket at the time it connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// The user and group that this process runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Own {
    /// Effective user.
    pub uid: u32,
    /// Effective group; it owns the socket.
    pub gid: u32,
}

impl Own {
    /// Of this process.
    #[must_use]
    pub fn here() -> Self {
        Self {
            uid: geteuid().as_raw(),
            gid: getegid().as_raw(),
        }
    }
}

impl Peer {
    /// Asks the kernel (`SO_PEERCRED`, `SO_PEERGROUPS`).
    ///
    /// # Errors
    /// When the socket is no connected Unix socket.
    pub fn of(socket: BorrowedFd<'_>) -> io::Result<Self> {
        use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
        let credentials = getsockopt(&socket, PeerCredentials)?;
        Ok(Self {
            uid: credentials.uid(),
            gid: credentials.gid(),
            groups: groups(socket)?,
        })
    }

    /// Root and the daemon's own user may change things, its group may look, others nothing.
    #[must_use]
    pub fn rights(&self, own: Own) -> Rights {
        if self.uid == 0 || self.uid == own.uid {
            Rights::Change
        } else if self.gid == own.gid || self.groups.contains(&own.gid) {
            Rights::Read
        } else {
            Rights::Nothing
        }
    }

    /// The user's name, or `uid 1000` when the system has none. Reads the user database.
    #[must_use]
    pub fn name(&self) -> String {
        match User::from_uid(Uid::from_raw(self.uid)) {
            Ok(Some(user)) => user.name,
            _ => format!("uid {}", self.uid),
        }
    }
}

/// Groups that are asked for at first; the kernel says when there are more.
const GROUPS: usize = 64;

fn groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut groups: Vec<libc::gid_t> = vec![0; GROUPS];
    loop {
        let mut bytes = libc::socklen_t::try_from(size_of_val(groups.as_slice()))
            .unwrap_or(libc::socklen_t::MAX);
        // SAFETY: the pointer and the length describe memory that `groups` owns and that is
        // initialised; the kernel writes at most `bytes` bytes of whole group numbers into it and
        // the length into `bytes`. The descriptor is borrowed, so it is open.
        #[allow(unsafe_code)]
        let answer = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut bytes,
            )
        };
        let count = bytes as usize / size_of::<libc::gid_t>();
        if answer == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        // The length needed comes with the error; it grows at most to NGROUPS_MAX.
        if error.raw_os_error() != Some(libc::ERANGE) || count <= groups.len() {
            return Err(error);
        }
        groups.resize(count, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    const OWN: Own = Own { uid: 990, gid: 991 };

    fn peer(uid: u32, gid: u32, groups: &[u32]) -> Peer {
        Peer {
            uid,
            gid,
            groups: groups.to_vec(),
        }
    }

    #[test]
    fn root_and_the_daemon_change_the_group_looks_others_do_nothing() {
        assert_eq!(peer(0, 0, &[]).rights(OWN), Rights::Change);
        assert_eq!(peer(990, 5, &[]).rights(OWN), Rights::Change);
        assert_eq!(peer(1000, 991, &[]).rights(OWN), Rights::Read);
        assert_eq!(peer(1000, 1000, &[4, 991]).rights(OWN), Rights::Read);
        assert_eq!(peer(1000, 1000, &[4, 990]).rights(OWN), Rights::Nothing);
    }

    #[test]
    fn the_kernel_tells_who_connected() {
        let (here, _there) = UnixStream::pair().unwrap();
        let peer = Peer::of(here.as_fd()).unwrap();
        let own = Own::here();
        assert_eq!((peer.uid, peer.gid), (own.uid, own.gid));
        assert_eq!(peer.rights(own), Rights::Change);
        assert!(!peer.name().is_empty());
    }

    #[test]
    fn a_descriptor_that_is_no_unix_socket_has_no_peer() {
        let file = tempfile::tempfile().unwrap();
        assert!(Peer::of(file.as_fd()).is_err());
    }
}
