//! Node cores: what a verifier must see of a record, and nothing that it need not.
//!
//! A core is one CBOR map (docs/spec/node.md). Which fields a kind may and must have is the table
//! [`FIELDS`]; which kinds its edges may lead to is [`Role::leads`]. Both are closed.

use alloc::vec::Vec;

use crate::{
    cbor::{DecodeError, Reader, Record, Writer, bad_field, decode, encode, within},
    date::Date,
    details::{Salt, check_slot},
    digest::{Digest, NODE},
    id::{GenesisHash, NodeId},
    limits::{CORE_BYTES_MAX, DETAIL_SLOTS, EDGES_MAX, STATEMENT_BYTES_MAX, WORD_BYTES_MAX, WORDS_MAX},
    word::{Country, Word},
};

/// Declares an enumeration that is written as a small number and read back strictly.
macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$vdoc:meta])* $variant:ident = $number:literal, $word:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $name { $($(#[$vdoc])* $variant),* }

        impl $name {
            /// Every value, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// Returns the number that stands in hashed bytes.
            pub const fn number(self) -> u8 {
                match self { $(Self::$variant => $number),* }
            }
            /// Returns the word that people write.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
            /// Reads the word that people write.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|v| v.word() == word)
            }
            pub(crate) fn from_number(number: u64) -> Result<Self, DecodeError> {
                Self::ALL.iter().copied().find(|v| u64::from(v.number()) == number)
                    .ok_or(bad_field($what, "is no number that this version knows"))
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}
pub(crate) use numbered;

numbered! {
    /// What a node records.
    Kind, "node kind" {
        /// Data: collected, bought in, derived or synthetic.
        Dataset = 1, "dataset";
        /// A step that used nodes and generated others.
        Transformation = 2, "transformation";
        /// A model artefact.
        Model = 3, "model";
        /// An assessment of data by its assessor, signed or stated.
        Assessment = 4, "assessment";
        /// Models sent to a consignee.
        Shipment = 5, "shipment";
        /// A mark on a node.
        Status = 6, "status";
        /// The removal of plaintext.
        Erasure = 7, "erasure";
    }
}

numbered! {
    /// Why an edge leads from one node to another.
    Role, "edge role" {
        /// The step used this dataset or model.
        Used = 1, "used";
        /// This dataset or model came out of that step.
        GeneratedBy = 2, "generated-by";
        /// The shipment holds this model.
        Ships = 3, "ships";
        /// The status marks this node.
        Marks = 4, "marks";
        /// The corrected record that takes a superseded one's place.
        Successor = 5, "successor";
        /// The erasure took plaintext from this node.
        Erases = 6, "erases";
    }
}

numbered! {
    /// Where a dataset began.
    Origin, "origin" {
        /// Recorded from the world by the committer.
        Collected = 1, "collected";
        /// Taken over from outside.
        External = 2, "external";
        /// Made from other data.
        Derived = 3, "derived";
        /// Generated, from data or a model.
        Synthetic = 4, "synthetic";
    }
}

numbered! {
    /// What a transformation did.
    Activity, "activity" {
        /// Labelling.
        Annotation = 1, "annotation";
        /// Removal of bad records.
        Cleaning = 2, "cleaning";
        /// Removal of what identifies persons or sites.
        Anonymisation = 3, "anonymisation";
        /// Extraction of features.
        Feature = 4, "feature";
        /// Generation of synthetic data.
        Synthetic = 5, "synthetic";
        /// Joining of data sets.
        Merge = 6, "merge";
        /// Splitting of a data set.
        Split = 7, "split";
        /// Fitting of a model.
        Training = 8, "training";
        /// Conversion to smaller numbers.
        Quantisation = 9, "quantisation";
        /// Putting artefacts together.
        Packaging = 10, "packaging";
        /// Measuring of a model.
        Evaluation = 11, "evaluation";
    }
}

numbered! {
    /// Where a dataset's bytes are.
    Held, "content held" {
        /// With the committer.
        Here = 1, "here";
        /// Only where it was collected; what left is the digest.
        OriginOnly = 2, "origin-only";
        /// Nowhere any more.
        Destroyed = 3, "destroyed";
    }
}

numbered! {
    /// How well the content digest binds the bytes.
    DigestStrength, "digest strength" {
        /// BLAKE3 or SHA-256 over the bytes.
        Strong = 1, "strong";
        /// An imported digest that can be forged (MD5, an e-tag).
        Weak = 2, "weak";
        /// No digest at all.
        None = 3, "none";
    }
}

numbered! {
    /// Whether persons can be found in a dataset.
    Persons, "persons" {
        /// Looked for by the method in the details, and none found.
        NoneFound = 1, "none-found";
        /// There are some.
        Present = 2, "present";
        /// Nobody looked.
        NotExamined = 3, "not-examined";
    }
}

numbered! {
    /// What a status says of its node.
    Mark, "mark" {
        /// It no longer holds. Terminal.
        Withdraw = 1, "withdraw";
        /// Another record takes its place.
        Supersede = 2, "supersede";
        /// Its grade is another from now on.
        Reclassify = 3, "reclassify";
        /// What was shipped is called back. Terminal.
        Recall = 4, "recall";
        /// An authority or assessor said no. Terminal.
        Refuse = 5, "refuse";
    }
}

impl Mark {
    /// Tells whether nothing later hides this mark (Rule R4).
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Withdraw | Self::Recall | Self::Refuse)
    }
}

impl Role {
    /// Tells whether an edge of this role may lead from one kind to the other: the closed table
    /// kind → edge → kind. Models may be parents of datasets, by way of a transformation (Rule R2).
    pub const fn leads(self, from: Kind, to: Kind) -> bool {
        match self {
            Self::Used => matches!((from, to), (Kind::Transformation, Kind::Dataset | Kind::Model)),
            Self::GeneratedBy => matches!((from, to), (Kind::Dataset | Kind::Model, Kind::Transformation)),
            Self::Ships => matches!((from, to), (Kind::Shipment, Kind::Model)),
            Self::Marks => matches!(from, Kind::Status) && !matches!(to, Kind::Status | Kind::Erasure),
            Self::Successor => matches!(from, Kind::Status) && !matches!(to, Kind::Status | Kind::Erasure),
            Self::Erases => matches!(from, Kind::Erasure),
        }
    }
}

/// An edge to another node, by id. A foreign node is named with the log that is its home.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Edge {
    /// Why it leads there.
    pub role: Role,
    /// The other node's home, if that is not this node's own (Rule R5).
    pub home: Option<GenesisHash>,
    /// The other node.
    pub to: NodeId,
}

impl Edge {
    /// Makes an edge to a node of the same log.
    pub const fn local(role: Role, to: NodeId) -> Self {
        Self { role, home: None, to }
    }
}

impl Record for Edge {
    fn write(&self, out: &mut Writer<'_>) {
        out.array(if self.home.is_some() { 3 } else { 2 }).uint(self.role.number().into());
        if let Some(home) = &self.home {
            out.bytes(home.as_bytes());
        }
        out.bytes(self.to.as_bytes());
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let items = input.array("items of an edge", 3)?;
        let role = Role::from_number(input.uint()?)?;
        let home = if items == 3 { Some(GenesisHash::new(input.digest()?)) } else { None };
        Ok(Self { role, home, to: NodeId::new(input.digest()?) })
    }
}

/// A node's core. Every field but the first five is optional here; [`Core::check`] holds the table
/// of what each kind may and must have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Core {
    /// What the node records.
    pub kind: Kind,
    /// The genesis hash of the log that the node is for (Rule R5).
    pub home: GenesisHash,
    /// Random, so that equal records have different ids.
    pub nonce: Salt,
    /// The root over the 32 salted details.
    pub details: Digest,
    /// Parents and targets, sorted, each once.
    pub edges: Vec<Edge>,
    /// Modalities of a dataset, sorted words of the policy's vocabulary.
    pub modality: Vec<Word>,
    /// Purposes, sorted words of the policy's vocabulary.
    pub purpose: Vec<Word>,
    /// The stated grade; on a reclassification, the new one.
    pub grade: Option<Word>,
    /// Where the data lies or the step ran; of a shipment, where it goes.
    pub country: Option<Country>,
    /// When the step ran, the shipment left or the mark was made.
    pub date: Option<Date>,
    /// Where a dataset began.
    pub origin: Option<Origin>,
    /// Where a dataset's bytes are.
    pub held: Option<Held>,
    /// How well the content digest binds the bytes.
    pub strength: Option<DigestStrength>,
    /// Whether the licence allows this use; unknown if absent.
    pub use_allowed: Option<bool>,
    /// Whether the committer holds the dataset to be in the guidance's scope; unknown if absent.
    pub in_scope: Option<bool>,
    /// Whether persons can be found in it.
    pub persons: Option<Persons>,
    /// What a transformation did.
    pub activity: Option<Activity>,
    /// The basis on which data crosses a border, a word of the policy's vocabulary.
    pub basis: Option<Word>,
    /// A signed statement (`COSE_Sign1`): of an assessment, or of an assessor's own mark.
    pub statement: Option<Vec<u8>>,
    /// An assessment's payload as the committer states it, signed by no assessor.
    pub stated: Option<Vec<u8>>,
    /// What a status says.
    pub mark: Option<Mark>,
    /// The detail slots that an erasure took, sorted.
    pub erased_slots: Vec<u8>,
    /// Whether an erasure took files of the manifest.
    pub erased_files: Option<bool>,
}

/// Who may and who must have a field: (CBOR key, name, kinds that may, kinds that must).
pub type FieldRule = (u64, &'static str, &'static [Kind], &'static [Kind]);

/// The table of fields beyond the first six keys (docs/spec/node.md, "Which kind has which field").
pub const FIELDS: &[FieldRule] = {
    use Kind::{Assessment, Dataset, Erasure, Model, Shipment, Status, Transformation};
    &[
        (6, "modality", &[Dataset], &[]),
        (7, "purpose", &[Dataset, Transformation, Model, Shipment], &[]),
        (8, "grade", &[Dataset, Model, Status], &[]),
        (9, "country", &[Dataset, Transformation, Model, Shipment], &[Shipment]),
        (10, "date", &[Transformation, Shipment, Status, Erasure], &[Shipment, Status]),
        (11, "origin", &[Dataset], &[Dataset]),
        (12, "held", &[Dataset], &[Dataset]),
        (13, "strength", &[Dataset, Model], &[Dataset, Model]),
        (14, "use_allowed", &[Dataset, Model], &[]),
        (15, "in_scope", &[Dataset], &[]),
        (16, "persons", &[Dataset], &[]),
        (17, "activity", &[Transformation], &[Transformation]),
        (18, "basis", &[Transformation, Shipment], &[]),
        (19, "statement", &[Assessment, Status], &[]),
        (20, "stated", &[Assessment], &[]),
        (21, "mark", &[Status], &[Status]),
        (22, "erased_slots", &[Erasure], &[]),
        (23, "erased_files", &[Erasure], &[]),
    ]
};

impl Core {
    /// Makes a core with nothing but what every kind has.
    pub const fn new(kind: Kind, home: GenesisHash, nonce: Salt, details: Digest) -> Self {
        Self {
            kind,
            home,
            nonce,
            details,
            edges: Vec::new(),
            modality: Vec::new(),
            purpose: Vec::new(),
            grade: None,
            country: None,
            date: None,
            origin: None,
            held: None,
            strength: None,
            use_allowed: None,
            in_scope: None,
            persons: None,
            activity: None,
            basis: None,
            statement: None,
            stated: None,
            mark: None,
            erased_slots: Vec::new(),
            erased_files: None,
        }
    }

    /// Reads a core strictly, its table of fields and edges included.
    ///
    /// # Errors
    /// A [`DecodeError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        within("bytes of a core", bytes.len(), CORE_BYTES_MAX)?;
        let core: Self = decode(bytes)?;
        core.check()?;
        Ok(core)
    }

    /// Returns the core's bytes, after the check that a reader would make.
    ///
    /// # Errors
    /// A [`DecodeError`] that says what a reader would refuse.
    pub fn to_bytes(&self) -> Result<Vec<u8>, DecodeError> {
        self.check()?;
        let bytes = encode(self);
        within("bytes of a core", bytes.len(), CORE_BYTES_MAX)?;
        Ok(bytes)
    }

    /// Returns the edges of one role.
    pub fn edges_of(&self, role: Role) -> impl Iterator<Item = &Edge> {
        self.edges.iter().filter(move |edge| edge.role == role)
    }

    /// Returns the edges that a walk to the sources follows: used, generated-by, ships.
    pub fn parents(&self) -> impl Iterator<Item = &Edge> {
        self.edges.iter().filter(|edge| matches!(edge.role, Role::Used | Role::GeneratedBy | Role::Ships))
    }

    /// Checks the fields against [`FIELDS`], the edges against their roles, and all lists' order.
    ///
    /// # Errors
    /// A [`DecodeError`] that names the field.
    pub fn check(&self) -> Result<(), DecodeError> {
        for (key, name, may, must) in FIELDS {
            let present = self.has(*key);
            if present && !may.contains(&self.kind) {
                return Err(bad_field(name, "does not belong to this kind of node"));
            }
            if !present && must.contains(&self.kind) {
                return Err(bad_field(name, "is missing, and this kind of node must have it"));
            }
        }
        sorted("edges", &self.edges)?;
        sorted("modality", &self.modality)?;
        sorted("purpose", &self.purpose)?;
        sorted("erased_slots", &self.erased_slots)?;
        within("edges", self.edges.len(), EDGES_MAX)?;
        self.check_edges()?;
        self.check_kind()
    }

    fn has(&self, key: u64) -> bool {
        match key {
            6 => !self.modality.is_empty(),
            7 => !self.purpose.is_empty(),
            8 => self.grade.is_some(),
            9 => self.country.is_some(),
            10 => self.date.is_some(),
            11 => self.origin.is_some(),
            12 => self.held.is_some(),
            13 => self.strength.is_some(),
            14 => self.use_allowed.is_some(),
            15 => self.in_scope.is_some(),
            16 => self.persons.is_some(),
            17 => self.activity.is_some(),
            18 => self.basis.is_some(),
            19 => self.statement.is_some(),
            20 => self.stated.is_some(),
            21 => self.mark.is_some(),
            22 => !self.erased_slots.is_empty(),
            23 => self.erased_files.is_some(),
            _ => false,
        }
    }

    /// Checks how many edges of which role the kind has. Where they lead is checked once the other
    /// node is known.
    fn check_edges(&self) -> Result<(), DecodeError> {
        let count = |role| self.edges_of(role).count();
        let total = self.edges.len();
        let ok = match self.kind {
            Kind::Dataset | Kind::Model => count(Role::GeneratedBy) == total && total <= 1,
            Kind::Transformation => count(Role::Used) == total && total >= 1,
            Kind::Shipment => count(Role::Ships) == total && total >= 1,
            Kind::Assessment => total == 0,
            Kind::Status => {
                let successor = usize::from(self.mark == Some(Mark::Supersede));
                count(Role::Marks) == 1 && count(Role::Successor) == successor && total == successor.saturating_add(1)
            }
            Kind::Erasure => count(Role::Erases) == total && total == 1,
        };
        let local = |role| self.edges_of(role).all(|edge| edge.home.is_none());
        if !ok {
            return Err(bad_field("edges", "are not those that this kind of node has"));
        }
        if !(local(Role::GeneratedBy) && local(Role::Marks) && local(Role::Successor) && local(Role::Erases)) {
            return Err(bad_field("edges", "lead to another log where only this one may be meant"));
        }
        let marked = self.edges_of(Role::Marks).next().map(|edge| edge.to);
        if self.edges_of(Role::Successor).any(|edge| Some(edge.to) == marked) {
            return Err(bad_field("edges", "name a node as its own successor"));
        }
        if self.edges.iter().any(|edge| edge.home == Some(self.home)) {
            return Err(bad_field("edges", "name this node's own log as another"));
        }
        Ok(())
    }

    fn check_kind(&self) -> Result<(), DecodeError> {
        let source = matches!(self.origin, Some(Origin::Collected | Origin::External));
        if self.kind == Kind::Dataset && source && !self.edges.is_empty() {
            return Err(bad_field("origin", "says collected or external, but a step generated it"));
        }
        if self.kind == Kind::Assessment && self.statement.is_some() == self.stated.is_some() {
            return Err(bad_field("statement", "an assessment is either signed or stated"));
        }
        if self.kind == Kind::Status && self.grade.is_some() != (self.mark == Some(Mark::Reclassify)) {
            return Err(bad_field("grade", "belongs to a reclassification, and to no other mark"));
        }
        if self.erased_files == Some(false) {
            return Err(bad_field("erased_files", "is said only where files were erased"));
        }
        if self.kind == Kind::Erasure && self.erased_slots.is_empty() && self.erased_files.is_none() {
            return Err(bad_field("erased_slots", "says neither slots nor files"));
        }
        if self.erased_slots.iter().any(|slot| *slot >= DETAIL_SLOTS) {
            return Err(bad_field("erased_slots", "is not below 32"));
        }
        Ok(())
    }
}

/// Returns the id of a core's bytes.
pub fn node_id(core: &[u8]) -> NodeId {
    NodeId::new(NODE.hash(core))
}

/// Checks that a list is sorted and holds nothing twice.
pub(crate) fn sorted<T: Ord>(field: &'static str, items: &[T]) -> Result<(), DecodeError> {
    let ordered = items.windows(2).all(|pair| match pair {
        [a, b] => a < b,
        _ => true,
    });
    if ordered { Ok(()) } else { Err(bad_field(field, "is not in order, or holds something twice")) }
}

pub(crate) fn write_words(out: &mut Writer<'_>, words: &[Word]) {
    out.array(words.len());
    for word in words {
        out.text(word.as_str());
    }
}

pub(crate) fn read_word(input: &mut Reader<'_>) -> Result<Word, DecodeError> {
    Word::parse(input.text("bytes of a word", WORD_BYTES_MAX)?)
        .ok_or(bad_field("word", "has characters other than a-z 0-9 . -"))
}

pub(crate) fn read_words(input: &mut Reader<'_>) -> Result<Vec<Word>, DecodeError> {
    input.list("words", WORDS_MAX, read_word)
}

pub(crate) fn read_date(input: &mut Reader<'_>) -> Result<Date, DecodeError> {
    u32::try_from(input.uint()?).ok().and_then(Date::from_days).ok_or(bad_field("date", "is beyond 9999-12-31"))
}

pub(crate) fn read_country(input: &mut Reader<'_>) -> Result<Country, DecodeError> {
    Country::parse(input.text("bytes of a country", 2)?).ok_or(bad_field("country", "is not two capital letters"))
}

/// The format version that stands in every core.
const VERSION: u64 = 1;

impl Record for Core {
    fn write(&self, out: &mut Writer<'_>) {
        let optional = FIELDS.iter().filter(|(key, ..)| self.has(*key)).count();
        out.map(optional.saturating_add(6));
        out.uint(0).uint(VERSION).uint(1).uint(self.kind.number().into());
        out.uint(2).bytes(self.home.as_bytes()).uint(3).bytes(&self.nonce);
        out.uint(4).bytes(self.details.as_bytes()).uint(5).array(self.edges.len());
        self.edges.iter().for_each(|edge| edge.write(out));
        for (key, ..) in FIELDS {
            if self.has(*key) {
                out.uint(*key);
                self.write_field(*key, out);
            }
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let pairs = input.map("fields of a core", 64)?;
        let version = keyed(input, 0, Reader::uint)?;
        if version != VERSION {
            return Err(bad_field("core version", "is none that this version knows"));
        }
        let kind = Kind::from_number(keyed(input, 1, Reader::uint)?)?;
        let home = GenesisHash::new(keyed(input, 2, Reader::digest)?);
        let nonce = keyed(input, 3, Reader::fixed)?;
        let mut core = Self::new(kind, home, nonce, keyed(input, 4, Reader::digest)?);
        core.edges = keyed(input, 5, |i| i.list("edges", EDGES_MAX, Edge::read))?;
        for _ in 6..pairs {
            let key = input.uint()?;
            core.read_field(key, input)?;
        }
        Ok(core)
    }
}

/// Reads a map's next key, which must be `key`, and its value.
pub(crate) fn keyed<'a, T>(
    input: &mut Reader<'a>,
    key: u64,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    if input.uint()? != key {
        return Err(bad_field("map key", "is missing, unknown or out of order"));
    }
    read(input)
}

impl Core {
    fn write_field(&self, key: u64, out: &mut Writer<'_>) {
        let number = |value: Option<u8>| u64::from(value.unwrap_or(0));
        match key {
            6 => write_words(out, &self.modality),
            7 => write_words(out, &self.purpose),
            8 => out.text(self.grade.as_ref().map_or("", Word::as_str)).end(),
            9 => out.text(self.country.as_ref().map_or("", Country::as_str)).end(),
            10 => out.uint(self.date.map_or(0, Date::days).into()).end(),
            11 => out.uint(number(self.origin.map(Origin::number))).end(),
            12 => out.uint(number(self.held.map(Held::number))).end(),
            13 => out.uint(number(self.strength.map(DigestStrength::number))).end(),
            14 => out.bool(self.use_allowed == Some(true)).end(),
            15 => out.bool(self.in_scope == Some(true)).end(),
            16 => out.uint(number(self.persons.map(Persons::number))).end(),
            17 => out.uint(number(self.activity.map(Activity::number))).end(),
            18 => out.text(self.basis.as_ref().map_or("", Word::as_str)).end(),
            19 => out.bytes(self.statement.as_deref().unwrap_or_default()).end(),
            20 => out.bytes(self.stated.as_deref().unwrap_or_default()).end(),
            21 => out.uint(number(self.mark.map(Mark::number))).end(),
            22 => {
                out.array(self.erased_slots.len());
                self.erased_slots.iter().for_each(|slot| out.uint((*slot).into()).end());
            }
            _ => out.bool(self.erased_files == Some(true)).end(),
        }
    }

    fn read_field(&mut self, key: u64, input: &mut Reader<'_>) -> Result<(), DecodeError> {
        match key {
            6 => self.modality = read_words(input)?,
            7 => self.purpose = read_words(input)?,
            8 => self.grade = Some(read_word(input)?),
            9 => self.country = Some(read_country(input)?),
            10 => self.date = Some(read_date(input)?),
            11 => self.origin = Some(Origin::from_number(input.uint()?)?),
            12 => self.held = Some(Held::from_number(input.uint()?)?),
            13 => self.strength = Some(DigestStrength::from_number(input.uint()?)?),
            14 => self.use_allowed = Some(input.bool()?),
            15 => self.in_scope = Some(input.bool()?),
            16 => self.persons = Some(Persons::from_number(input.uint()?)?),
            17 => self.activity = Some(Activity::from_number(input.uint()?)?),
            18 => self.basis = Some(read_word(input)?),
            19 => self.statement = Some(input.bytes("bytes of a statement", STATEMENT_BYTES_MAX)?.into()),
            20 => self.stated = Some(input.bytes("bytes of a stated assessment", STATEMENT_BYTES_MAX)?.into()),
            21 => self.mark = Some(Mark::from_number(input.uint()?)?),
            22 => self.erased_slots = input.list("erased slots", 32, |i| check_slot(i.uint()?))?,
            23 => self.erased_files = Some(input.bool()?),
            _ => return Err(bad_field("core", "has a field that this version does not know")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn core(kind: Kind) -> Core {
        Core::new(kind, GenesisHash::new(Digest::from_bytes([1; 32])), [2; 16], Digest::from_bytes([3; 32]))
    }

    fn dataset() -> Core {
        Core {
            origin: Some(Origin::Collected),
            held: Some(Held::Here),
            strength: Some(DigestStrength::Strong),
            country: Country::parse("CN"),
            grade: Word::parse("important"),
            modality: ["force-torque", "visual"].map(|w| Word::parse(w).unwrap()).into(),
            ..core(Kind::Dataset)
        }
    }

    #[test]
    fn a_core_reads_back_as_written() {
        let bytes = dataset().to_bytes().unwrap();
        assert_eq!(Core::from_bytes(&bytes), Ok(dataset()));
    }

    #[test]
    fn no_two_encodings() {
        let bytes = dataset().to_bytes().unwrap();
        let mut trailing = bytes.clone();
        trailing.push(0);
        assert_eq!(Core::from_bytes(&trailing).unwrap_err().code(), "cbor-trailing-bytes");
        // The version 1 written in two bytes.
        let mut long = bytes.clone();
        long.splice(2..3, [0x18, 1]);
        assert_eq!(Core::from_bytes(&long).unwrap_err().code(), "cbor-not-canonical");
        // `use_allowed` false and absent are two things; a core without it must not read it.
        assert_ne!(Core { use_allowed: Some(false), ..dataset() }.to_bytes().unwrap(), bytes);
        let unsorted = Core { modality: dataset().modality.into_iter().rev().collect(), ..dataset() };
        assert_eq!(Core::from_bytes(&encode(&unsorted)).unwrap_err().code(), "field-invalid");
    }

    /// Reading compares while it writes again; what is kept and compared afterwards is the oracle.
    #[test]
    fn reading_refuses_what_writing_again_does_not_give() {
        let by = Edge::local(Role::Marks, NodeId::new(Digest::from_bytes([9; 32])));
        let status = Core {
            mark: Some(Mark::Reclassify),
            grade: Word::parse("important"),
            date: Date::from_days(20_000),
            edges: [by].into(),
            statement: Some([7; 30].into()),
            ..core(Kind::Status)
        };
        let (mut accepted, mut differing) = (0, 0);
        let mut compare = |bytes: &[u8]| {
            let mut input = Reader::new(bytes);
            let read = Core::read(&mut input).and_then(|core| input.finish().map(|()| core));
            let expected = read.and_then(|core| {
                let again = encode(&core);
                let offset = again.iter().zip(bytes).take_while(|(a, b)| a == b).count();
                if again == bytes { Ok(core) } else { Err(DecodeError::NotCanonical { offset }) }
            });
            accepted += usize::from(expected.is_ok());
            differing += usize::from(matches!(expected, Err(DecodeError::NotCanonical { .. })));
            assert_eq!(decode::<Core>(bytes), expected, "{bytes:02x?}");
        };
        for bytes in [dataset().to_bytes().unwrap(), status.to_bytes().unwrap()] {
            compare(&bytes);
            for at in 0..bytes.len() {
                compare(&[&bytes[..at], &bytes[at + 1..]].concat());
                for byte in 0..=u8::MAX {
                    let mut other = bytes.clone();
                    other[at] = byte;
                    compare(&other);
                    other[at] = bytes[at];
                    other.insert(at, byte);
                    compare(&other);
                    // The head before this byte, in a longer form.
                    other[at] = bytes[at];
                    other.splice(at..=at, [bytes[at] & 0xe0 | 0x18 | (byte & 3), byte]);
                    compare(&other);
                }
            }
        }
        assert!(accepted > 1_000 && differing > 50, "{accepted} {differing}");
    }

    #[test]
    fn each_kind_has_its_fields_and_no_others() {
        assert!(Core { mark: Some(Mark::Withdraw), ..dataset() }.to_bytes().is_err());
        assert!(Core { origin: None, ..dataset() }.to_bytes().is_err());
        assert!(core(Kind::Transformation).to_bytes().is_err(), "no activity, no edge");
        assert!(core(Kind::Assessment).to_bytes().is_err(), "neither signed nor stated");
        let by = Edge::local(Role::GeneratedBy, NodeId::new(Digest::from_bytes([9; 32])));
        let collected = Core { edges: [by].into(), ..dataset() };
        assert!(collected.to_bytes().is_err(), "a collected data set has no step before it");
        let derived = Core { origin: Some(Origin::Derived), ..collected };
        assert!(derived.to_bytes().is_ok());
        let foreign = Edge { home: Some(GenesisHash::new(Digest::from_bytes([8; 32]))), ..by };
        assert!(Core { edges: [foreign].into(), ..derived }.to_bytes().is_err(), "outputs sit with their step");
    }

    #[test]
    fn edges_lead_only_where_the_table_says() {
        let allowed = |role: Role| {
            let pairs = Kind::ALL.iter().flat_map(|a| Kind::ALL.iter().map(move |b| (*a, *b)));
            pairs.filter(|(a, b)| role.leads(*a, *b)).count()
        };
        assert_eq!(Role::ALL.iter().map(|r| allowed(*r)).collect::<Vec<_>>(), [2, 2, 1, 5, 5, 7]);
    }
}
