//! Letters for opinions, and what the reviews say of them together.

use super::progress::Member;
use super::report::Ranked;

/// The members in an order that follows from the seed alone.
pub(super) fn shuffled(members: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..members).collect();
    let mut state = seed;
    for at in (1..members).rev() {
        let below = at as u64 + 1;
        let other = usize::try_from(mixed(&mut state) % below).unwrap_or_default();
        order.swap(at, other);
    }
    order
}

/// The next number of a splitmix64 sequence: every seed gives another order, and the same one
/// always the same.
fn mixed(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The letter of the opinion at this place.
pub(super) fn letter(place: usize) -> String {
    let letter = u8::try_from(place).ok().and_then(|place| b'A'.checked_add(place));
    letter.map_or_else(|| place.to_string(), |letter| char::from(letter).to_string())
}

/// The opinions, best first, by the mean of their Borda points: of `k` opinions in a review,
/// the best has `k - 1` points, the last 0. Who has equal scores shares a rank, and the rank
/// after them is as if they had one each. Nothing where no review compares two opinions: each of
/// two members judges one other, which puts nobody before anybody.
pub(super) fn ranked(members: &[Member]) -> Vec<Ranked> {
    let compares = |member: &Member| member.review.as_ref().is_some_and(|it| it.ranking.len() > 1);
    if !members.iter().any(compares) {
        return Vec::new();
    }
    let mut rows: Vec<Ranked> = Vec::new();
    for (index, member) in members.iter().enumerate() {
        let Some(label) = member.label.as_ref().filter(|_| member.opinion.is_some()) else {
            continue;
        };
        let points: Vec<u32> = members
            .iter()
            .filter_map(|other| {
                let ranking = &other.review.as_ref()?.ranking;
                let place = ranking.iter().position(|it| it == label)?;
                u32::try_from(ranking.len() - 1 - place).ok()
            })
            .collect();
        let count = u32::try_from(points.len()).unwrap_or(u32::MAX).max(1);
        let score = f64::from(points.iter().sum::<u32>()) / f64::from(count);
        rows.push(Ranked { rank: 0, label: label.clone(), member: index, score });
    }
    rows.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.label.cmp(&b.label)));
    for at in 0..rows.len() {
        let tied = at > 0 && rows[at].score.total_cmp(&rows[at - 1].score).is_eq();
        rows[at].rank =
            if tied { rows[at - 1].rank } else { u32::try_from(at + 1).unwrap_or(u32::MAX) };
    }
    rows
}

/// Whether the reviews agree: each says that all come to the same decision, or one opinion is
/// the first of everybody who could put it there, and at least two could. Nothing where there
/// is no review.
pub(super) fn agreed(members: &[Member]) -> Option<bool> {
    let reviews: Vec<_> = members
        .iter()
        .filter_map(|member| Some((member.label.as_deref()?, member.review.as_ref()?)))
        .collect();
    if reviews.is_empty() {
        return None;
    }
    let same = reviews.iter().all(|(_, review)| review.agree);
    let first_of_all = |label: &str| {
        let mut others = reviews.iter().filter(|(own, _)| *own != label).peekable();
        let enough = others.clone().count() > 1;
        enough && others.all(|(_, review)| review.ranking.first().is_some_and(|it| it == label))
    };
    let winner = members.iter().filter_map(|member| member.label.as_deref()).any(first_of_all);
    Some(same || winner)
}

#[cfg(test)]
mod tests {
    use super::super::report::Review;
    use super::*;

    fn member(label: &str, ranking: &[&str], agree: bool) -> Member {
        let review = (!ranking.is_empty()).then(|| Review {
            ranking: ranking.iter().map(|it| (*it).to_owned()).collect(),
            agree,
            ..Review::default()
        });
        Member {
            label: Some(label.to_owned()),
            opinion: Some("o".to_owned()),
            review,
            ..Member::default()
        }
    }

    #[test]
    fn an_order_follows_from_the_seed_and_leaves_nobody_out() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let order = shuffled(4, seed);
            assert_eq!(order, shuffled(4, seed));
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3]);
            seen.insert(order);
        }
        assert_eq!(seen.len(), 24, "every order comes");
        assert_eq!([letter(0), letter(11)], ["A", "L"]);
    }

    #[test]
    fn ranks_are_mean_points_and_ties_are_kept() {
        let members = [
            member("A", &["B", "C"], false),
            member("B", &["A", "C"], false),
            member("C", &["A", "B"], false),
            member("D", &[], false),
        ];
        let rows = ranked(&members);
        let told: Vec<_> = rows.iter().map(|it| (it.label.as_str(), it.rank)).collect();
        assert_eq!(told, [("A", 1), ("B", 2), ("C", 3), ("D", 3)]);
        assert_eq!(rows[1].score.to_bits(), 0.5_f64.to_bits());
        assert_eq!(ranked(&members[3..]), [], "nobody judged");
        let pair = [member("A", &["B"], false), member("B", &["A"], false)];
        assert_eq!(ranked(&pair), [], "each judged one other");
    }

    #[test]
    fn agreement_is_everybodys_word_or_one_clear_first() {
        let split = [member("A", &["B", "C"], false), member("B", &["C", "A"], true)];
        assert_eq!(agreed(&split), Some(false));
        let clear = [
            member("A", &["B", "C"], false),
            member("B", &["C", "A"], false),
            member("C", &["B", "A"], false),
        ];
        assert_eq!(agreed(&clear), Some(true), "B is the first of A and C");
        let pair = [member("A", &["B"], false), member("B", &["A"], false)];
        assert_eq!(agreed(&pair), Some(false), "of two, each can only name the other");
        let same = [member("A", &["B"], true), member("B", &["A"], true)];
        assert_eq!(agreed(&same), Some(true));
        assert_eq!(agreed(&[member("A", &[], true)]), None);
    }
}
