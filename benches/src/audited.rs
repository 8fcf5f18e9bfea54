//! Factories whose shipments are judged again: ancestries that overlap as they do, and some that don't.

use griptrace_core::{
    assessment::{Assessment, Destinations, Outcome, lay_out_subjects, subjects_root},
    cose::{ASSESSMENT_TYPE, sign},
    date::Date,
    id::NodeId,
    key::SecretKey,
    word::Word,
};
use griptrace_store::record::{NodeRecord, SubjectsRecord};

use crate::{
    Failure,
    bulk::Dice,
    world::{Log, Maker, NOW},
};

/// What shipped, and from where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Models, each of which ships several times.
    pub(crate) models: usize,
    pub(crate) shipments_each: usize,
    /// Nodes behind each model.
    pub(crate) nodes: usize,
    /// How many of these every model has in common with all others.
    pub(crate) shared: usize,
    /// Whether shipments of one model follow each other, or those of all models take turns.
    pub(crate) by_turns: bool,
}

/// Of so many nodes of an ancestry one is a source.
const NODES_A_SOURCE: usize = 10;
/// Sources that one assessment opens.
const SUBJECTS: usize = 10;
/// Nodes of one commit of shipments: a day's.
const SHIPMENTS_A_COMMIT: usize = 10;
/// Of so many assessments one was withdrawn.
const ASSESSMENTS_A_WITHDRAWAL: usize = 50;

/// Sources with their assessments, and steps with what they made; what no step used yet.
#[derive(Debug, Default)]
struct Ancestry {
    nodes: Vec<NodeRecord>,
    data: Vec<NodeId>,
    unused: Vec<NodeId>,
    assessments: Vec<NodeId>,
}

/// Records a factory. Returns how many nodes there are.
pub(crate) fn record(log: &Log, plan: &Plan, assessor: &SecretKey) -> Result<usize, Failure> {
    let (mut maker, mut dice) = (log.maker("audit").abroad("CN"), Dice::new(7));
    let mut count = 0;
    let common = ancestry(&mut maker, &mut dice, assessor, plan.shared, &Ancestry::default())?;
    let mut withdrawn = Vec::new();
    count += commit(log, &common)?;
    withdrawn.extend(common.assessments.iter().step_by(ASSESSMENTS_A_WITHDRAWAL).skip(1).copied());
    let mut models = Vec::with_capacity(plan.models);
    for number in 0..plan.models {
        let own = plan.nodes.saturating_sub(plan.shared).saturating_sub(2);
        let ancestry = ancestry(&mut maker, &mut dice, assessor, own, &common)?;
        count += commit(log, &ancestry)?;
        if number % ASSESSMENTS_A_WITHDRAWAL == 1 {
            withdrawn.extend(ancestry.assessments.first());
        }
        let used = ancestry.unused.iter().chain(&common.unused).copied().collect::<Vec<_>>();
        let step = maker.step_in("DE", &used)?;
        let model = maker.model(step.id())?;
        models.push(model.id());
        count += 2;
        log.commit(vec![step, model])?;
    }
    let shipments: Vec<NodeId> = if plan.by_turns {
        (0..plan.shipments_each).flat_map(|_| models.iter().copied()).collect()
    } else {
        models.iter().flat_map(|model| vec![*model; plan.shipments_each]).collect()
    };
    for some in shipments.chunks(SHIPMENTS_A_COMMIT) {
        let nodes = some.iter().map(|model| maker.shipment(*model)).collect::<Result<Vec<_>, Failure>>()?;
        count += nodes.len();
        log.commit(nodes)?;
    }
    for assessment in withdrawn {
        log.commit(vec![maker.mark(assessment)?])?;
        count += 1;
    }
    Ok(count)
}

/// Makes `count` nodes: a tenth of them sources, each assessed, then steps with a data set each.
fn ancestry(
    maker: &mut Maker,
    dice: &mut Dice,
    assessor: &SecretKey,
    count: usize,
    before: &Ancestry,
) -> Result<Ancestry, Failure> {
    let mut made = Ancestry::default();
    let sources = count.div_ceil(NODES_A_SOURCE);
    for _ in 0..sources {
        let source = maker.graded("important")?;
        made.data.push(source.id());
        made.nodes.push(source);
    }
    for subjects in made.data.chunks(SUBJECTS) {
        let assessment = assess(maker, assessor, subjects)?;
        made.assessments.push(assessment.id());
        made.nodes.push(assessment);
    }
    made.unused.clone_from(&made.data);
    while made.nodes.len() + 1 < count {
        let mut used = if made.unused.is_empty() { Vec::new() } else { vec![made.unused.remove(0)] };
        used.extend(dice.two_of(&before.data));
        let step = maker.step_in("CN", &used)?;
        let data = maker.dataset(Some(step.id()))?;
        made.data.push(data.id());
        made.unused.push(data.id());
        made.nodes.extend([step, data]);
    }
    Ok(made)
}

fn assess(maker: &Maker, assessor: &SecretKey, subjects: &[NodeId]) -> Result<NodeRecord, Failure> {
    let mut failed = None;
    let random = |out: &mut [u8]| failed = griptrace_store::random(out).err();
    let (leaves, openings) = lay_out_subjects(subjects, random).ok_or("no subject")?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    let words = |text| Word::parse(text).into_iter().collect::<Vec<Word>>();
    let word = |text| Word::parse(text).ok_or("no word");
    let today = Date::from_unix(NOW);
    let payload = Assessment {
        scheme: word("security-assessment")?,
        outcome: Outcome::Passed,
        grade: word("important")?,
        purposes: words("bench"),
        modalities: words("visual"),
        streams: Vec::new(),
        issued: today,
        valid_from: today,
        valid_to: None,
        destinations: Destinations::Anywhere,
        subjects: u64::try_from(leaves.len())?,
        subjects_root: subjects_root(&leaves).ok_or("no leaf")?,
    };
    let statement = sign(assessor, ASSESSMENT_TYPE, "Office", &maker.home(), payload.to_bytes()?)?;
    let openings = subjects.iter().zip(openings).map(|(id, (salt, index))| (*id, salt, index)).collect();
    maker.assessment(statement, SubjectsRecord { leaves, openings })
}

fn commit(log: &Log, ancestry: &Ancestry) -> Result<usize, Failure> {
    if !ancestry.nodes.is_empty() {
        log.commit(ancestry.nodes.clone())?;
    }
    Ok(ancestry.nodes.len())
}
