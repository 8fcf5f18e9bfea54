//! Ids: one newtype a meaning, so that none is taken for another.

use core::fmt;

use crate::digest::Digest;

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Digest);

        impl $name {
            /// Wraps a digest that was made as this id.
            pub const fn new(digest: Digest) -> Self {
                Self(digest)
            }
            /// Returns the digest.
            pub const fn digest(&self) -> &Digest {
                &self.0
            }
            /// Returns the 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                self.0.as_bytes()
            }
            /// Parses 64 hexadecimal digits.
            pub fn from_hex(text: &str) -> Option<Self> {
                Digest::from_hex(text).map(Self)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

id_type! {
    /// A node's id: the hash of its core's bytes.
    NodeId
}
id_type! {
    /// A log's genesis hash: the hash of its first entry, and the home of its nodes.
    GenesisHash
}
id_type! {
    /// What the status map is asked for: a node's id, or a signed assessment's payload digest.
    StatusKey
}
id_type! {
    /// The full hash of a public key.
    KeyId
}

impl StatusKey {
    /// The key of a node that is not a signed assessment.
    pub const fn of_node(id: NodeId) -> Self {
        Self(id.0)
    }
}
