//! Quorums: how many of which witnesses, in groups of groups as C2SP tlog-policy has them.

use alloc::vec::Vec;

/// A member of a group: a witness or an earlier group, by its place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Member {
    /// The place of a witness in the list that the quorum is about.
    Witness(usize),
    /// The place of a group in [`Quorum::groups`], before the group that it is a member of.
    Group(usize),
}

/// Some members, and how many of them it takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// The members, at least one. None is a member of two groups, so that each witness counts in one way only.
    pub of: Vec<Member>,
    /// How many of them: from 1 to all.
    pub at_least: usize,
}

/// Which witnesses have to have cosigned a checkpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quorum {
    /// The groups, each after its members.
    pub groups: Vec<Group>,
    /// What has to have cosigned.
    pub asked: Member,
}

impl Quorum {
    /// Makes a quorum of one group of witnesses.
    pub fn of_witnesses(of: impl IntoIterator<Item = usize>, at_least: usize) -> Self {
        let group = Group { of: of.into_iter().map(Member::Witness).collect(), at_least };
        Self { groups: Vec::from([group]), asked: Member::Group(0) }
    }

    /// Returns when the quorum was complete, given when each witness cosigned; `None` if it is not met.
    ///
    /// A group is complete at the time of the member that makes up its number, the earliest first (Rule R7).
    pub fn completed(&self, times: &[Option<u64>]) -> Option<u64> {
        self.settled(times, |met| met.sort_unstable())
    }

    /// Returns the latest time that the quorum speaks of, given when each witness cosigned last; `None` if it is not met.
    ///
    /// A group speaks of a time if as many of its members as it takes say so of that time or a later one. So no time is
    /// believed that fewer say, and nobody who left off saying anything holds the others back.
    pub fn as_of(&self, times: &[Option<u64>]) -> Option<u64> {
        self.settled(times, |met| met.sort_unstable_by(|one, other| other.cmp(one)))
    }

    /// Gives each group the time of the member that makes up its number, in this order.
    fn settled(&self, times: &[Option<u64>], order: impl Fn(&mut Vec<u64>)) -> Option<u64> {
        let mut groups: Vec<Option<u64>> = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            let mut met: Vec<u64> = group.of.iter().filter_map(|member| time_of(*member, times, &groups)).collect();
            order(&mut met);
            groups.push(group.at_least.checked_sub(1).and_then(|last| met.get(last).copied()));
        }
        time_of(self.asked, times, &groups)
    }

    /// Returns the witnesses that it is about, by ascending place, each once.
    pub fn witnesses(&self) -> Vec<usize> {
        let mut found = Vec::new();
        let mut todo = Vec::from([self.asked]);
        while let Some(member) = todo.pop() {
            match member {
                Member::Witness(place) => found.push(place),
                Member::Group(place) => todo.extend(self.groups.get(place).into_iter().flat_map(|group| &group.of)),
            }
        }
        found.sort_unstable();
        found
    }
}

fn time_of(member: Member, witnesses: &[Option<u64>], groups: &[Option<u64>]) -> Option<u64> {
    match member {
        Member::Witness(place) => witnesses.get(place).copied().flatten(),
        Member::Group(place) => groups.get(place).copied().flatten(),
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    /// Two of w0, w1, w2, and any of w3, w4; both groups.
    fn nested() -> Quorum {
        let witnesses = |places: &[usize]| places.iter().copied().map(Member::Witness).collect();
        let groups = vec![
            Group { of: witnesses(&[0, 1, 2]), at_least: 2 },
            Group { of: witnesses(&[3, 4]), at_least: 1 },
            Group { of: vec![Member::Group(0), Member::Group(1)], at_least: 2 },
        ];
        Quorum { groups, asked: Member::Group(2) }
    }

    #[test]
    fn a_group_is_complete_with_the_member_that_makes_up_its_number() {
        let quorum = Quorum::of_witnesses([2, 0, 1], 2);
        assert_eq!(quorum.completed(&[Some(30), Some(10), Some(20)]), Some(20), "the second of three");
        assert_eq!(quorum.completed(&[Some(30), None, Some(20)]), Some(30));
        assert_eq!(quorum.completed(&[None, None, Some(20)]), None);
        assert_eq!(quorum.completed(&[]), None);
        assert_eq!(quorum.witnesses(), [0, 1, 2]);
    }

    /// Who holds fewer keys than it takes makes nothing look current; who says nothing any more makes nothing look old.
    #[test]
    fn a_group_speaks_of_the_time_that_as_many_as_it_takes_say() {
        let two_of_three = Quorum::of_witnesses([2, 0, 1], 2);
        assert_eq!(two_of_three.as_of(&[Some(30), Some(10), Some(20)]), Some(20), "the second of three, from the last");
        assert_eq!(two_of_three.as_of(&[Some(30), None, Some(u64::MAX)]), Some(30), "one alone is not believed");
        assert_eq!(two_of_three.as_of(&[Some(30), Some(1), Some(29)]), Some(29), "one that left off");
        assert_eq!(two_of_three.as_of(&[None, None, Some(20)]), None);
        let nested = nested();
        assert_eq!(nested.as_of(&[Some(5), Some(9), Some(7), Some(2), Some(8)]), Some(7));
        assert_eq!(nested.as_of(&[Some(5), Some(9), Some(7), Some(2), None]), Some(2), "no more than its oldest part");
        assert_eq!(nested.as_of(&[Some(5), None, None, Some(2), Some(8)]), None);
    }

    #[test]
    fn groups_of_groups_are_complete_with_their_last_part() {
        let quorum = nested();
        assert_eq!(quorum.completed(&[Some(5), Some(9), None, Some(7), Some(1)]), Some(9));
        assert_eq!(quorum.completed(&[Some(5), Some(6), None, Some(7), None]), Some(7));
        assert_eq!(quorum.completed(&[Some(5), Some(6), Some(1), None, None]), None, "the second group is missing");
        assert_eq!(quorum.completed(&[Some(5), None, None, Some(7), Some(8)]), None, "the first group is short");
        assert_eq!(quorum.witnesses(), [0, 1, 2, 3, 4]);
        let one = Quorum { groups: vec![], asked: Member::Witness(1) };
        assert_eq!((one.completed(&[None, Some(3)]), one.witnesses()), (Some(3), vec![1]));
    }
}
