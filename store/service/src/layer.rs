//! tmp
/// tmp
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) String);
