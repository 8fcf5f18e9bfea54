//! Receipts that another process gave for a commit to the same log.

use griptrace_core::tree::{LeafIndex, Rfc9162, TreeSize, verify_inclusion};

use crate::{
    commit::Receipt,
    error::{ReadError, StorageError},
    head::Signature,
    store::Store,
};

/// What it is called, which is no object.
const RECEIPT: &str = "a receipt";

impl Store {
    /// Checks that a receipt proves that an entry is in this log: its checkpoint is signed by the key that the log has at that
    /// size, as far as it is known here, and the entry is the leaf that it says.
    ///
    /// # Errors
    /// `Storage` with why it proves nothing.
    pub fn check_receipt(&self, entry: &[u8], receipt: &Receipt) -> Result<(), ReadError> {
        let bad = |why: String| StorageError::corrupt(RECEIPT, why);
        let keys = self.0.keys();
        let (head, _) = Signature { keys: &keys.log }.read(RECEIPT, receipt.checkpoint.as_bytes())?;
        if head.size != receipt.size {
            let (size, signed) = (receipt.size, head.size);
            return Err(bad(format!("it says that the tree has {size} leaves, and its checkpoint has {signed}")).into());
        }
        let (leaf, size) = (LeafIndex::new(receipt.index), TreeSize::new(head.size));
        let hash = Rfc9162::leaf_hash(entry);
        verify_inclusion(&Rfc9162, leaf, size, &hash, &receipt.inclusion, &head.root)
            .map_err(|error| bad(format!("the commit is not leaf {} under its checkpoint: {error}", receipt.index)))?;
        Ok(())
    }
}
