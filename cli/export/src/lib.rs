//! What Griptrace has evidence for, in the formats of others: in-toto statements (SLSA provenance and verification
//! summaries, simple verification results, OMS model signatures), CycloneDX and PROV-JSON.
//!
//! Documents about a lineage are made from a bundle whose evidence holds together under the reader's own trust file
//! ([`lineage::Lineage::read`]), and say nothing that it does not show: what is not disclosed is left out and never
//! guessed. The same bundle gives the same bytes. What is signed is signed by `griptrace-core`. There is no I/O and no
//! clock here, and nothing judges: docs/export.md says for each format what becomes of what, and what is lost.
#![forbid(unsafe_code)]

mod assessment;
pub mod cyclonedx;
pub mod lineage;
pub mod oms;
pub mod pem;
pub mod prov;
pub mod slsa;
pub mod statement;
mod text;
pub mod verdict;
